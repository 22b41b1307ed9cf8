//! Which crate may depend on which. Dependencies point down only, and roles know each other by traits
//! in ports alone; that is what lets them run in one process or in many.
//!
//! A new crate gets one line in [`CRATES`].

use std::path::Path;

use crate::metadata::{Metadata, verdict};
use crate::step::Findings;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// Values and decisions, no I/O.
    Kernel,
    /// Bytes: on the log, on the wire.
    Format,
    /// Traits.
    Port,
    /// Certificates of doors and of whoever comes to them.
    Tls,
    /// Sockets that carry the wire.
    Door,
    /// Reading partitions as all readers do.
    Reader,
    /// What stands behind a port.
    Engine,
    /// Conformance suites and models of ports.
    Testkit,
    /// What a process needs.
    Node,
    /// Roles that ask each other across machines.
    Rpc,
    /// What a node does.
    Role,
    /// Speaks the public protocol alone.
    Client,
    /// Judges what clients did and saw.
    Judge,
    /// Drives clients against a service from outside.
    Load,
    /// Measures from outside, and puts together what is measured.
    Bench,
    /// Drives the real cores in virtual time.
    Simulation,
    /// Drives every decoder with bytes that nobody would write.
    Fuzzing,
    /// Puts everything together.
    Binary,
    /// Writes documents that are made from code.
    Documents,
    /// The gate.
    Gate,
}

use Layer::{
    Bench, Binary, Client, Documents, Door, Engine, Format, Fuzzing, Gate, Judge, Kernel, Load, Node, Port, Reader,
    Role, Rpc, Simulation, Testkit, Tls,
};

const CRATES: &[(&str, Layer)] = &[
    ("volery-kernel", Kernel),
    ("volery-proto", Format),
    ("volery-wire", Format),
    ("volery-ports", Port),
    ("volery-tls", Tls),
    ("volery-door", Door),
    ("volery-reader", Reader),
    ("volery-cassandra", Engine),
    ("volery-embedded", Engine),
    ("volery-kafka", Engine),
    ("volery-redis", Engine),
    ("volery-sql", Engine),
    ("volery-testkit", Testkit),
    ("volery-node", Node),
    ("volery-rpc", Rpc),
    ("volery-messaging", Role),
    ("volery-history", Role),
    ("volery-account", Role),
    ("volery-config", Role),
    ("volery-gateway", Role),
    ("idgen", Role),
    ("volery-client", Client),
    ("volery-terminal", Client),
    ("volery-checker", Judge),
    ("loadtest", Load),
    ("volery-bench", Bench),
    ("volery-crash", Load),
    ("volery-chaos", Load),
    ("sim", Simulation),
    ("volery-fuzz", Fuzzing),
    ("volery", Binary),
    ("volery-reference", Documents),
    ("xtask", Gate),
];

/// What a layer may link.
const fn below(layer: Layer) -> &'static [Layer] {
    match layer {
        Kernel => &[],
        Format => &[Kernel],
        Port | Door => &[Kernel, Format],
        Reader => &[Kernel, Format, Port],
        Engine | Testkit => &[Kernel, Format, Port],
        Tls | Node => &[Kernel],
        Rpc => &[Kernel, Format, Port, Node, Tls],
        Role => &[Kernel, Format, Port, Door, Reader, Node],
        Client => &[Kernel, Format, Door, Tls],
        Judge => &[Kernel, Format],
        Load => &[Kernel, Format, Door, Client, Judge, Node, Tls],
        Bench => &[Kernel, Format, Port, Door, Reader, Engine, Node, Tls, Role, Client, Judge, Load],
        Fuzzing => &[Kernel, Format, Port, Door, Reader, Engine, Testkit, Tls, Node, Rpc, Role, Client],
        Simulation => &[Kernel, Format, Port, Door, Reader, Engine, Testkit, Node, Role, Client, Judge],
        Binary => &[Kernel, Format, Port, Door, Reader, Engine, Node, Tls, Rpc, Role, Client],
        Documents => &[Kernel, Format, Node, Role],
        Gate => &[],
    }
}

/// What a layer's tests may link besides.
const fn for_tests(layer: Layer) -> &'static [Layer] {
    match layer {
        Engine | Role | Simulation => &[Testkit, Engine, Client, Tls],
        Binary => &[Testkit, Engine, Client, Role, Simulation, Load],
        Testkit => &[Engine],
        Rpc => &[Testkit, Engine, Role],
        Door => &[Testkit, Tls],
        Bench | Load => &[Testkit],
        _ => &[],
    }
}

/// Single dependencies against the rule, each with its reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "volery-account",
        "volery-sql",
        "accounts are SQL: the two databases differ in the pool alone, not behind a trait",
    ),
    (
        "volery-gateway",
        "volery-account",
        "in tests only: the edge is tested before real accounts, not before a stand-in",
    ),
    ("volery-crash", "loadtest", "breaks the load test's servers under its devices"),
    ("volery-chaos", "loadtest", "breaks a cluster under the load test's devices"),
    ("volery-chaos", "volery-crash", "its people are those of a crash run, and so is how breaks stand in a history"),
    (
        "volery-chaos",
        "volery-testkit",
        "cuts links by the test kit's proxy; it is a test that is too long for the gate",
    ),
    ("volery-terminal", "volery-client", "a client for people on top of the client for programs"),
];

/// What would give these layers a clock, a runtime, randomness or I/O.
const PURE: &[Layer] = &[Kernel, Format, Port];
const IMPURE: &[&str] = &[
    "actix",
    "actix-rt",
    "actix-web",
    "fjall",
    "futures",
    "rand",
    "rdkafka",
    "redis",
    "reqwest",
    "scylla",
    "socket2",
    "sqlx",
    "tokio",
];

pub(crate) fn run(root: &Path) -> Result<(), Findings> {
    let metadata = Metadata::load(root)?;
    let mut findings = Vec::new();
    for package in metadata.members() {
        let Some(layer) = layer_of(&package.name) else {
            findings.push(format!("{} is in no layer: give it a line in xtask/src/layers.rs", package.name));
            continue;
        };
        let links =
            package.dependencies.iter().map(|dependency| (dependency.name.as_str(), dependency.kind.as_deref()));
        findings.extend(links.filter_map(|(name, kind)| judge(&package.name, layer, name, kind)));
    }
    verdict(findings)
}

fn layer_of(name: &str) -> Option<Layer> {
    CRATES.iter().find(|(known, _)| *known == name).map(|&(_, layer)| layer)
}

fn judge(from: &str, layer: Layer, to: &str, kind: Option<&str>) -> Option<String> {
    if kind.is_none() && PURE.contains(&layer) && IMPURE.contains(&to) {
        return Some(format!(
            "{from} ({layer:?}) depends on {to}: it decides on values alone; move the I/O to a shell above"
        ));
    }
    let target = layer_of(to)?;
    let in_tests = kind == Some("dev") && for_tests(layer).contains(&target);
    let excepted = EXCEPTIONS.iter().any(|&(a, b, _)| (a, b) == (from, to));
    if below(layer).contains(&target) || in_tests || excepted {
        return None;
    }
    Some(format!(
        "{from} ({layer:?}) depends on {to} ({target:?}): it may link {:?} only; meet through a trait in volery-ports",
        below(layer)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_know_each_other_by_ports_alone() {
        assert_eq!(judge("volery-messaging", Role, "volery-ports", None), None);
        assert!(judge("volery-messaging", Role, "volery-history", None).is_some());
        assert!(judge("volery-messaging", Role, "volery-history", Some("dev")).is_some());
    }

    #[test]
    fn engines_are_for_tests_and_the_binary() {
        assert!(judge("volery-history", Role, "volery-embedded", None).is_some());
        assert_eq!(judge("volery-history", Role, "volery-embedded", Some("dev")), None);
        assert_eq!(judge("volery", Binary, "volery-embedded", None), None);
        assert!(judge("volery-embedded", Engine, "volery-history", Some("dev")).is_some());
    }

    #[test]
    fn nothing_stands_below_the_kernel() {
        for &(name, _) in CRATES {
            assert!(judge("volery-kernel", Kernel, name, None).is_some(), "{name}");
        }
        assert_eq!(judge("volery-kernel", Kernel, "bytes", None), None);
    }

    #[test]
    fn what_decides_has_no_runtime_but_in_its_tests() {
        assert!(judge("volery-ports", Port, "tokio", None).is_some());
        assert_eq!(judge("volery-ports", Port, "tokio", Some("dev")), None);
        assert_eq!(judge("volery-messaging", Role, "tokio", None), None);
    }

    #[test]
    fn no_layer_is_below_itself_by_way_of_others() {
        fn reaches(from: Layer, to: Layer, depth: usize) -> bool {
            depth < 12 && below(from).iter().any(|&next| next == to || reaches(next, to, depth + 1))
        }
        for &(_, layer) in CRATES {
            assert!(!reaches(layer, layer, 0), "{layer:?}");
        }
    }
}
