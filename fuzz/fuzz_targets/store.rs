//! A store under any script: `cargo +nightly fuzz run store -- -max_len=1280 -max_total_time=20`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/differential/dice.rs"]
mod dice;
#[path = "../../tests/differential/laws.rs"]
mod laws;
#[path = "../../tests/differential/listening.rs"]
mod listening;
#[allow(dead_code, reason = "the differential test uses more of it")]
#[path = "../../tests/differential/ours.rs"]
mod ours;
#[allow(dead_code, reason = "the differential test uses more of it")]
#[path = "../../tests/differential/script.rs"]
mod script;
#[allow(dead_code, reason = "the differential test uses more of it")]
#[path = "../../tests/differential/show.rs"]
mod show;

fuzz_target!(|bytes: &[u8]| laws::hold_for(&script::Script::from_bytes(bytes)));
