//! Strangers' JSON: `cargo +nightly fuzz run json -- -max_total_time=20`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/laws/json.rs"]
mod laws;

fuzz_target!(|text: &str| laws::hold_for_text(text));
