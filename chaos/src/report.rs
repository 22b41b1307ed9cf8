//! The figures of a campaign, for the terminal: by kind of fault, how long people were away and until all were back.

use std::collections::BTreeMap;

use volery_crash::report::Spread;

use crate::state::{Round, State, Struck};

/// What became of people by a kind of fault. Times are of those that met no other.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The kind.
    pub kind: String,
    /// How many count.
    pub counted: usize,
    /// See [`Struck::away_ms`].
    pub away_ms: Option<Spread>,
    /// See [`Struck::back_ms`].
    pub back_ms: Option<Spread>,
}

/// By kind.
#[must_use]
pub fn lines(state: &State) -> Vec<Line> {
    let mut kinds: BTreeMap<String, Vec<&Struck>> = BTreeMap::new();
    let counted = state.struck().filter(|struck| struck.counts);
    counted.for_each(|struck| kinds.entry(struck.fault.kind()).or_default().push(struck));
    let line = |(kind, struck): (String, Vec<&Struck>)| {
        let alone = || struck.iter().filter(|struck| !struck.met);
        Line {
            kind,
            counted: struck.len(),
            away_ms: Spread::of(alone().map(|struck| struck.away_ms)),
            back_ms: Spread::of(alone().filter_map(|struck| struck.back_ms)),
        }
    };
    kinds.into_iter().map(line).collect()
}

/// The table.
#[must_use]
pub fn table(state: &State) -> String {
    let mut out = vec![
        format!("\nchaos: {}", sum(state)),
        format!("{:<24} {:>7} {:>21} {:>21}", "", "faults", "somebody away, ms", "all back after, ms"),
        format!("{:<24} {:>7} {:>10} {:>10} {:>10} {:>10}", "", "", "median", "max", "median", "max"),
    ];
    out.extend(lines(state).into_iter().map(|Line { kind, counted, away_ms, back_ms }| {
        format!("{kind:<24} {counted:>7} {} {}", pair(away_ms), pair(back_ms))
    }));
    out.extend(state.rounds.iter().flat_map(findings));
    out.push(sentence(state));
    out.join("\n") + "\n"
}

/// What there was, in a sentence.
#[must_use]
pub fn sum(state: &State) -> String {
    let struck = state.struck().count();
    let met = state.struck().filter(|struck| struck.counts && struck.met).count();
    let acknowledged: u64 = state.rounds.iter().map(|round| round.acknowledged).sum();
    let counted = state.counted();
    format!(
        "{counted} faults counted, {met} of them beside another, {} not; {acknowledged} messages acknowledged; \
         {} rounds, {:.0} s, --seed {}",
        struck - counted,
        state.rounds.len(),
        state.seconds,
        state.of.seed
    )
}

/// Whether promises were kept, in a sentence.
#[must_use]
pub fn sentence(state: &State) -> String {
    let bad = state.rounds.iter().filter(|round| !round.is_good()).count();
    match (state.rounds.len(), bad) {
        (0, _) => "checker: there is nothing to judge".to_owned(),
        (rounds, 0) => format!("checker: every promise held in {rounds} histories"),
        (rounds, bad) => format!("checker: something is wrong in {bad} of {rounds} rounds"),
    }
}

/// What is wrong with a round, a line each.
pub fn findings(round: &Round) -> Vec<String> {
    let of = |what: &str| format!("round {}: {what}", round.number);
    let broken = round.verdict.iter().filter(|verdict| !verdict.is_good()).map(|verdict| of(&verdict.sentence()));
    round.findings.iter().map(|found| of(found)).chain(broken).collect()
}

fn pair(spread: Option<Spread>) -> String {
    spread
        .map_or(format!("{:>10} {:>10}", "-", "-"), |Spread { median, max, .. }| format!("{median:>10.0} {max:>10.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::schedule::Shape;
    use crate::state::Identity;

    #[test]
    fn times_are_of_faults_that_count_and_met_no_other() {
        let one = |back_ms, met, counts| Struck {
            fault: Fault::Join,
            from: 0.0,
            to: 1.0,
            under_way: 9,
            met,
            counts,
            away_ms: 5.0,
            back_ms,
        };
        let struck = vec![
            one(Some(10.0), false, true),
            one(Some(30.0), false, true),
            one(Some(900.0), true, true),
            one(Some(800.0), false, false),
            one(None, false, true),
        ];
        let mut state = State::new(Identity { seed: 1, shape: Shape { nodes: 2, copies: 1 }, kinds: Vec::new() });
        state.rounds.push(Round { struck, findings: vec!["nobody comes".to_owned()], ..Round::default() });
        let [line] = lines(&state).try_into().expect("one kind");
        assert_eq!((line.counted, line.back_ms.map(|spread| spread.max)), (4, Some(30.0)));
        let table = table(&state);
        assert!(table.contains("join and leave") && table.contains("round 0: nobody comes"), "{table}");
        assert!(table.contains("something is wrong in 1 of 1"), "{table}");
    }
}
