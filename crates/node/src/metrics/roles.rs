//! Calls of roles that run elsewhere: who is asked, and what becomes of it.

use super::family::Label;
use super::labels::{AskedRole, CallOutcome};

/// A call of a role, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleCall {
    /// Who was asked.
    pub role: AskedRole,
    /// How it ended.
    pub outcome: CallOutcome,
}

const OUTCOMES: usize = CallOutcome::ALL.len();
const ALL: [RoleCall; AskedRole::ALL.len() * OUTCOMES] = {
    let mut all =
        [RoleCall { role: AskedRole::History, outcome: CallOutcome::Answered }; AskedRole::ALL.len() * OUTCOMES];
    let mut at = 0;
    while at < all.len() {
        all[at] = RoleCall { role: AskedRole::ALL[at / OUTCOMES], outcome: CallOutcome::ALL[at % OUTCOMES] };
        at += 1;
    }
    all
};

impl Label for RoleCall {
    const NAMES: &'static [&'static str] = &["role", "outcome"];
    const ALL: &'static [Self] = &ALL;

    fn texts(self) -> Vec<&'static str> {
        [self.role.texts(), self.outcome.texts()].concat()
    }

    fn index(self) -> usize {
        self.role.index() * OUTCOMES + self.outcome.index()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_found_by_its_index() {
        for (at, call) in RoleCall::ALL.iter().enumerate() {
            assert_eq!(call.index(), at);
        }
    }
}
