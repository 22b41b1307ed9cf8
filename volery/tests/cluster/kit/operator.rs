//! `volery admin`, as an operator types it.

use std::process::Output;

use serde_json::Value;

use super::server::volery;

/// `volery admin …` beside a server, as it is reached.
pub(crate) struct Operator {
    pub(crate) reaches: Vec<String>,
}

impl Operator {
    pub(crate) fn said(&self, words: &[&str]) -> Output {
        let mut command = volery(&["admin"]);
        command.env("USER", "olga").args(words).args(&self.reaches).output().expect("it runs")
    }

    /// The answer of a command that succeeds.
    pub(crate) fn told(&self, words: &[&str]) -> Value {
        let output = self.said(&[words, &["--json"]].concat());
        let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{words:?}: {said}{complaint}");
        serde_json::from_str(&said).expect("JSON")
    }

    /// What a command that fails complains of.
    pub(crate) fn refused(&self, words: &[&str]) -> String {
        let output = self.said(words);
        assert!(!output.status.success() && output.stdout.is_empty(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}
