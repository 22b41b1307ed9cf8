//! Which licences may be linked: those that ask for no more than a notice.

use std::path::Path;

use crate::metadata::{Metadata, verdict};
use crate::step::Findings;

const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub(crate) fn run(root: &Path) -> Result<(), Findings> {
    let metadata = Metadata::load(root)?;
    let findings = metadata.packages.iter().filter_map(|package| {
        let expression = package.license.as_deref().unwrap_or("(none stated)");
        let advice = "use another crate, or add the licence to xtask/src/licences.rs if it asks for a notice only";
        (!allowed(expression)).then(|| format!("{} {}: {expression}: {advice}", package.name, package.version))
    });
    verdict(findings.collect())
}

/// Whether an SPDX expression can be met by allowed licences alone. What cannot be read is not allowed.
fn allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words };
    reader.any_of() && reader.words.is_empty()
}

/// `AND` binds before `OR`, `WITH` before both.
struct Reader<'a> {
    words: &'a [&'a str],
}

impl Reader<'_> {
    fn any_of(&mut self) -> bool {
        let mut met = self.all_of();
        while self.take("OR") {
            met |= self.all_of();
        }
        met
    }

    fn all_of(&mut self) -> bool {
        let mut met = self.one();
        while self.take("AND") {
            met &= self.one();
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.take("(") {
            let met = self.any_of();
            return self.take(")") && met;
        }
        let Some((&name, rest)) = self.words.split_first() else { return false };
        self.words = rest;
        if !self.take("WITH") {
            return ALLOWED.contains(&name);
        }
        let Some((&exception, rest)) = self.words.split_first() else { return false };
        self.words = rest;
        ALLOWED.contains(&format!("{name} WITH {exception}").as_str())
    }

    fn take(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((&first, rest)) if first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_or_not() {
        for met in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0-only OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0-only",
            "GPL-2.0-only AND LGPL-2.1-only OR MIT AND ISC",
        ] {
            assert!(allowed(met), "{met}");
        }
        for unmet in [
            "",
            "(none stated)",
            "GPL-3.0-or-later",
            "MIT AND GPL-3.0-only",
            "(MIT OR GPL-3.0-only) AND AGPL-3.0-only",
            "MIT WITH Classpath-exception-2.0",
            "(MIT",
            "MIT)",
            "MIT Apache-2.0",
            "MIT WITH",
        ] {
            assert!(!allowed(unmet), "{unmet}");
        }
    }
}
