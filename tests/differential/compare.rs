//! The first difference of two traces, for people to read.

use serde_json::Value;

use super::script::{Listen, Op, Script};

/// Where two traces part, or `None`.
pub(crate) fn first_difference(script: &Script, ours: &[Value], theirs: &[Value]) -> Option<String> {
    let nothing = Value::Null;
    let length = ours.len().max(theirs.len());
    let (ours, theirs) = (&comparable(script, ours), &comparable(script, theirs));
    let index = (0..length).find(|index| ours.get(*index) != theirs.get(*index))?;
    let (ours, theirs) = (ours.get(index).unwrap_or(&nothing), theirs.get(index).unwrap_or(&nothing));
    let mut difference = format!("step {index} of {length}:");
    for (part, name) in ["result", "calls", "content"].into_iter().enumerate() {
        let (ours, theirs) = (&ours[part], &theirs[part]);
        if ours == theirs {
            continue;
        }
        match (ours.as_array(), theirs.as_array()) {
            (Some(ours), Some(theirs)) if name == "calls" => {
                difference += "\n  calls of listeners, each with the listener's number first";
                let show = |calls: &[Value]| calls.iter().map(|call| format!("\n      {call}")).collect::<String>();
                difference += &format!("\n    ours:{}\n    TinyBase:{}", show(ours), show(theirs));
            }
            _ => difference += &format!("\n  {name}\n    ours:     {ours}\n    TinyBase: {theirs}"),
        }
    }
    Some(difference)
}

/// A difference together with the script that shows it, step by step and as a line to keep.
pub(crate) fn report(script: &Script, difference: &str) -> String {
    let line = serde_json::to_string(script).expect("a script is JSON");
    let steps: String =
        script.0.iter().map(|op| format!("\n  {}", serde_json::to_string(op).expect("as above"))).collect();
    format!(
        "the script{steps}\ndiffers at {difference}\nrun it again: SCRIPT='{line}' cargo test --test differential what_once"
    )
}

/// A trace in which, within a phase, tables stand in the order of their ids, and so do rows and cells.
///
/// In which order a phase goes through them is a deliberate difference (D18). Everything else of the order counts: who
/// is called before whom for the same id, and a cell before its row, and that before its table.
fn comparable(script: &Script, trace: &[Value]) -> Vec<Value> {
    let listeners: Vec<&Listen> =
        script.0.iter().filter_map(|op| if let Op::Listen(listen) = op { Some(listen) } else { None }).collect();
    let listener =
        |call: &Value| call[0].as_u64().and_then(|number| listeners.get(usize::try_from(number).ok()?).copied());
    let path = |call: &Value| -> Vec<String> {
        let ids = listener(call).map_or(0, |listen| listen.kind.ids());
        (1..=ids).map(|n| call[n].as_str().unwrap_or_default().to_owned()).collect()
    };
    let mut trace = trace.to_vec();
    for step in &mut trace {
        let Some(calls) = step[1].as_array() else { continue };
        let calls: Vec<_> = calls.iter().map(|call| (path(call), call.clone())).collect();
        let phase = |call: &Value| listener(call).and_then(|listen| Some((listen.kind.phase()?, listen.role)));
        let phases = calls.chunk_by(|(_, a), (_, b)| phase(a).is_some() && phase(a) == phase(b));
        let sorted =
            phases.flat_map(|calls| if phase(&calls[0].1).is_some() { sorted(calls, 0) } else { calls.to_vec() });
        step[1] = sorted.map(|(_, call)| call).collect();
    }
    trace
}

/// Calls with their ids: those of the same id stay together, and as they are; between two that have none, they are sorted.
fn sorted(calls: &[(Vec<String>, Value)], level: usize) -> Vec<(Vec<String>, Value)> {
    let id = |call: &(Vec<String>, Value)| call.0.get(level).cloned();
    let together = calls.chunk_by(|a, b| id(a) == id(b)).map(|calls| match id(&calls[0]) {
        Some(_) => sorted(calls, level + 1),
        None => calls.to_vec(),
    });
    let together: Vec<_> = together.collect();
    let between = together.chunk_by(|a, b| id(&a[0]).is_some() && id(&b[0]).is_some());
    let in_order = between.flat_map(|run| {
        let mut run = run.to_vec();
        run.sort_by_key(|calls| id(&calls[0]));
        run.concat()
    });
    in_order.collect()
}
