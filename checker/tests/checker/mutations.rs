//! One thing wrong each: it is reported, as the promise that it breaks, by name, with the steps that
//! show it.

mod showing;
mod standing;

use volery_checker::check;
use volery_checker::history::History;
use volery_checker::violation::Promise;

use crate::scene::scene;

/// What is wrong, the promise, words of the sentence, and what puts it wrong and tells the steps that
/// must be shown.
type Mutation = (&'static str, Promise, &'static str, fn(&mut History) -> Vec<usize>);

/// Steps that a person can still take in.
const FEW: usize = 8;

fn written(history: &History) -> String {
    let mut lines = Vec::new();
    history.write(&mut lines).expect("memory");
    String::from_utf8(lines).expect("text")
}

#[test]
fn the_scene_itself_is_honest() {
    let history = scene();
    let violations = check(&history);
    assert!(violations.is_empty(), "{}", violations[0].tell(&history));
}

#[test]
fn whatever_is_wrong_is_reported_for_what_it_is() {
    let mut missed = Vec::new();
    for (name, promise, words, put_wrong) in standing::MUTATIONS.iter().chain(showing::MUTATIONS) {
        let mut history = scene();
        let steps = put_wrong(&mut history);
        let violations = check(&history);
        let found = violations.iter().any(|violation| {
            let shows = steps.iter().all(|step| violation.steps.contains(step)) && violation.steps.len() <= FEW;
            violation.promise == *promise && violation.what.contains(words) && shows
        });
        if !found {
            let told: String = violations.iter().map(|violation| violation.tell(&history)).collect();
            missed.push(format!("--- {name}: {promise}, {words:?}, steps {steps:?}\n{told}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
