//! The table of keys as a page of documentation.

use std::fmt::Write;

use super::{Bounds, FILE_VARIABLE, Key, keys};

/// `docs/reference/configuration.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = format!(
        "# Configuration\n\n\
         Every key can be set in `volery.toml` (or the file that `--config` or `{FILE_VARIABLE}` names), in the\n\
         environment, and by a flag; what comes later in this list wins: default, file, environment, flag.\n\
         A dot in a name is a section of the file:\n\n\
         ```toml\n[gateway]\nlisten = \"0.0.0.0:8400\"\n```\n\n\
         is the same as `VOLERY_GATEWAY_LISTEN=0.0.0.0:8400`, `--gateway-listen 0.0.0.0:8400` and\n\
         `--set gateway.listen=0.0.0.0:8400`. `volery config check` lists all mistakes at once.\n"
    );
    let mut section = "";
    for key in keys() {
        let of = key.name.split('.').next().unwrap_or_default();
        if of != section {
            section = of;
            let _ = write!(page, "\n## {section}\n\n| key | default | values | what it does |\n|---|---|---|---|\n");
        }
        let _ = writeln!(page, "| {} |", row(key).join(" | "));
    }
    page
}

fn row(key: &Key) -> [String; 4] {
    let name = format!("`{}`<br>`{}`<br>`--{}`", key.name, key.env(), key.flag());
    let default = if key.default.is_empty() { "not set".to_owned() } else { format!("`{}`", key.default) };
    let values = match key.bounds {
        Bounds::Any => key.kind.to_owned(),
        Bounds::Within(low, high) => format!("{}, {low} to {high}", key.kind),
        Bounds::OneOf(words) => format!("{}: {}", key.kind, words.join(" or ")),
    };
    [name, default, values, key.doc.to_owned()]
}
