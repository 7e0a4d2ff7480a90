//! Shrinking: finding smaller histories that fail in the same way.

use super::history::{History, Op};

/// Returns the smallest history for which `fails` is true, among those made from `history` by leaving out steps and
/// parts of steps.
///
/// `fails` must be true for `history` itself.
pub fn shrink(history: &History, mut fails: impl FnMut(&History) -> bool) -> History {
    let mut best = history.clone();
    loop {
        let before = best.clone();
        leave_out(&mut best, &mut fails);
        simplify(&mut best, &mut fails);
        if best == before {
            return best;
        }
    }
}

/// Leaves out steps: halves first, then single ones.
fn leave_out(best: &mut History, fails: &mut impl FnMut(&History) -> bool) {
    let mut size = best.steps.len();
    while size > 0 {
        let mut start = 0;
        while start < best.steps.len() {
            let mut smaller = best.clone();
            let end = (start + size).min(smaller.steps.len());
            smaller.steps.drain(start..end);
            if fails(&smaller) {
                *best = smaller;
            } else {
                start += size;
            }
        }
        size /= 2;
    }
}

fn simplify(best: &mut History, fails: &mut impl FnMut(&History) -> bool) {
    let mut attempt = |change: &dyn Fn(&mut History)| {
        let mut simpler = best.clone();
        change(&mut simpler);
        if simpler != *best && fails(&simpler) {
            *best = simpler;
        }
    };
    attempt(&|history| history.with_content = 0);
    attempt(&|history| history.joined = 255);
    attempt(&|history| {
        let used = history.steps.iter().filter_map(|step| step.op.client()).max().unwrap_or(0);
        history.clients = used + 1;
    });
    let steps = best.steps.len();
    for step in 0..steps {
        let mut attempt = |change: &dyn Fn(&mut super::history::Step)| {
            let mut simpler = best.clone();
            change(&mut simpler.steps[step]);
            if simpler != *best && fails(&simpler) {
                *best = simpler;
            }
        };
        attempt(&|step| step.after = 0);
        attempt(&|step| step.after /= 2);
        for leaf in (0..4).rev() {
            attempt(&|step| {
                if let Op::Edit(_, leaves) = &mut step.op
                    && leaf < leaves.len()
                {
                    leaves.remove(leaf);
                }
            });
        }
    }
}
