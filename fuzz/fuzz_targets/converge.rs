//! Histories out of any bytes: `cargo +nightly fuzz run converge -- -max_len=256 -max_total_time=20`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roommate_partykit_sim::sim::{History, Pair, run};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let pair = Pair::ALL[usize::from(*first) % Pair::ALL.len()];
    let history = History::from_bytes(pair, rest);
    assert_eq!(run(&history).broken(pair), None, "{history}");
});
