//! Proof of work: when many sign up at once, each must have spent a second of a browser's time. Machines that sign up by the
//! thousand feel it; a person does not.

use chrono::{DateTime, TimeDelta, Utc};
use ring::digest::{SHA256, digest};

use crate::delivery::constant_time_equal;
use crate::seal::Vault;

/// Zero bits that a solution's hash begins with: some 65,000 tries.
const BITS: u32 = 16;
/// A task may be solved for so long.
const HOLDS: TimeDelta = TimeDelta::minutes(20);

/// A task for a form that is shown now.
pub(crate) fn task(vault: &Vault, now: DateTime<Utc>) -> String {
    let at = now.timestamp();
    format!("{at}.{}", vault.digest("work", &at.to_string()))
}

/// Whether this solves a task of ours that still holds: `task:number`.
pub(crate) fn solves(vault: &Vault, solution: &str, now: DateTime<Utc>) -> bool {
    let Some((task, _)) = solution.rsplit_once(':') else { return false };
    let Some((at, mark)) = task.split_once('.') else { return false };
    let ours = constant_time_equal(mark.as_bytes(), vault.digest("work", at).as_bytes());
    let made = at.parse().ok().and_then(|at| DateTime::from_timestamp(at, 0));
    let holds = made.is_some_and(|made| made <= now && now - made <= HOLDS);
    ours && holds && solution.len() <= 200 && zero_bits(solution) >= BITS
}

fn zero_bits(text: &str) -> u32 {
    let hash = digest(&SHA256, text.as_bytes());
    let mut first = [0_u8; 8];
    first.copy_from_slice(hash.as_ref().get(..8).unwrap_or(&[0xff; 8]));
    u64::from_be_bytes(first).leading_zeros()
}

/// Solves a task, as the page's script does.
#[cfg(test)]
pub(crate) fn solve(task: &str) -> String {
    (0_u64..).map(|n| format!("{task}:{n}")).find(|text| zero_bits(text) >= BITS).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_solved_by_work_alone_and_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::of_file(&folder.path().join("k")).unwrap();
        let now: DateTime<Utc> = "2026-07-01T00:00:00Z".parse().unwrap();
        let task = task(&vault, now);
        let solution = solve(&task);
        assert!(solves(&vault, &solution, now + TimeDelta::minutes(5)));
        assert!(!solves(&vault, &solution, now + TimeDelta::minutes(21)), "too late");
        assert!(!solves(&vault, &solution, now - TimeDelta::minutes(1)), "made in the future");
        assert!(!solves(&vault, &format!("{task}:none"), now), "not worked for");
        let (at, _) = task.split_once('.').unwrap();
        assert!(!solves(&vault, &solve(&format!("{at}.forged")), now), "not our task");
        assert!(!solves(&vault, "", now));
    }
}
