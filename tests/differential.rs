//! The same scripts on a TinyBase store and on ours: what is held, in which order, who is called with what, equal.
//!
//! 500 scripts, or as many as `SCRIPTS` says: `SCRIPTS=20000 cargo test --test differential -- --nocapture`. What differs
//! on purpose is in `differential/DIFFERENCES.md`. A script that differs is printed in its smallest form, as a line for
//! `differential/scripts.jsonl`, where all that ever differed is kept; `SCRIPT='[..]'` runs one line more.

use std::{cell::RefCell, env};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};

#[path = "support/child.rs"]
#[expect(dead_code, reason = "the process ends with this one")]
mod child;
#[path = "differential/compare.rs"]
mod compare;
#[path = "differential/dice.rs"]
mod dice;
#[path = "differential/laws.rs"]
mod laws;
#[path = "differential/listening.rs"]
mod listening;
#[path = "support/npm.rs"]
mod npm;
#[path = "differential/original.rs"]
mod original;
#[path = "differential/ours.rs"]
mod ours;
#[path = "differential/script.rs"]
mod script;
#[path = "differential/show.rs"]
mod show;

use original::Original;
use script::{MAX_OPS, OP_BYTES, Script};

/// How many scripts, unless `SCRIPTS` says otherwise.
const SCRIPTS: u32 = 500;

#[test]
fn any_script_ends_as_with_tinybase() {
    let Some(original) = Original::start("the differential test of the store") else { return };
    let original = RefCell::new(original);
    let scripts = env::var("SCRIPTS").ok().and_then(|scripts| scripts.parse().ok()).unwrap_or(SCRIPTS);
    let config = Config { cases: scripts, failure_persistence: None, ..Config::default() };
    let (mut steps, mut calls, mut wrong_rollbacks) = (0, 0, 0);
    let figures = RefCell::new((&mut steps, &mut calls, &mut wrong_rollbacks));
    let result = TestRunner::new(config).run(&any_script(), |script| {
        let answer = original.borrow_mut().run(&script);
        if let Some(difference) = compare::first_difference(&script, &ours::run(&script), &answer.trace) {
            return Err(TestCaseError::fail(difference));
        }
        let (steps, calls, wrong_rollbacks) = &mut *figures.borrow_mut();
        **steps += answer.trace.len();
        **calls += answer.trace.iter().map(|step| step[1].as_array().map_or(0, Vec::len)).sum::<usize>();
        **wrong_rollbacks += answer.wrong_rollbacks;
        Ok(())
    });
    match result {
        Ok(()) => println!(
            "{scripts} scripts, {steps} steps and {calls} calls of listeners equal; TinyBase rolled back {wrong_rollbacks} times to something else"
        ),
        Err(TestError::Fail(difference, script)) => panic!("{}", compare::report(&script, difference.message())),
        Err(error) => panic!("{error}"),
    }
    assert!(steps > 0 && calls > 0, "nothing was compared");
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_script_keeps_to_the_laws(script in any_script()) {
        laws::hold_for(&script);
    }
}

#[test]
fn what_once_differed_is_equal() {
    let Some(mut original) = Original::start("the scripts that once differed") else { return };
    let kept = include_str!("differential/scripts.jsonl").lines().map(str::to_owned);
    for line in kept.chain(env::var("SCRIPT")).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let script: Script = serde_json::from_str(&line).expect("a line of scripts.jsonl is a script");
        let answer = original.run(&script);
        if let Some(difference) = compare::first_difference(&script, &ours::run(&script), &answer.trace) {
            panic!("{}", compare::report(&script, &difference));
        }
    }
}

/// Operation by operation out of bytes: so a failing script shrinks by whole operations.
fn any_script() -> impl Strategy<Value = Script> {
    vec(any::<[u8; OP_BYTES]>(), 0..MAX_OPS).prop_map(|ops| Script::from_bytes(&ops.concat()))
}
