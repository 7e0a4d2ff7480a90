//! The first difference of two traces, for people to read.

use serde_json::Value;

use super::script::{Kind, Listen, Op, Script};

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

/// A trace in which calls about ids that came and went in one transaction stand in the order of these ids.
///
/// TinyBase tells of ids in the order in which they last came or went, we in that in which they were first touched: a
/// deliberate difference. Which listener is called before which, for the same id, is compared all the same.
fn comparable(script: &Script, trace: &[Value]) -> Vec<Value> {
    let listeners: Vec<&Listen> =
        script.0.iter().filter_map(|op| if let Op::Listen(listen) = op { Some(listen) } else { None }).collect();
    let listener =
        |call: &Value| call[0].as_u64().and_then(|number| listeners.get(usize::try_from(number).ok()?).copied());
    let family = |call: &Value| listener(call).and_then(|listen| Some((listen.kind.family()?, listen.role)));
    let mut trace = trace.to_vec();
    for step in &mut trace {
        let Some(calls) = step[1].as_array_mut() else { continue };
        let families: Vec<_> = calls.iter().map(family).collect();
        let mut from = 0;
        for run in families.chunk_by(|a, b| a.is_some() && a == b) {
            let to = from + run.len();
            if let Some(((_, parents), _)) = run[0] {
                calls[from..to].sort_by_cached_key(|call| {
                    let kind = listener(call).map(|listen| listen.kind);
                    let ids = (1..=parents + 1).map(|n| call[n].as_str().unwrap_or_default().to_owned());
                    let mut ids: Vec<_> = ids.collect();
                    let rank = match kind {
                        Some(Kind::SortedRowIds) => 2,
                        Some(kind) if kind.ids() > parents => 1,
                        _ => 0,
                    };
                    let id = ids.pop().filter(|_| rank == 1);
                    (ids, rank, id)
                });
            }
            from = to;
        }
    }
    trace
}
