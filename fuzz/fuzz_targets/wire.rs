//! Strangers' frames: `cargo +nightly fuzz run wire -- -max_total_time=20`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../transports/partykit-proto/tests/laws/wire.rs"]
mod laws;

fuzz_target!(|text: &str| {
    laws::hold_for_frame(text);
    laws::hold_for_room(text);
});
