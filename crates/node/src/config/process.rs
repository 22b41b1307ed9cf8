//! The shell of `load`: which file there is, and what the environment of this process says.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::{FILE_VARIABLE, Loaded, Mistake, Mistakes, Origin, Sources, load};

/// The file that is read if nobody names one; it need not be there.
const FILE: &str = "volery.toml";

/// Reads `file` (else what `VOLERY_CONFIG` names, else `volery.toml` if it is there) and the environment,
/// and puts `flags` above them; see [`Sources::flags`] for their form.
///
/// # Errors
/// As [`load`], and a named file that cannot be read.
pub fn load_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Result<Loaded, Mistakes> {
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .collect();
    let named = file.map(|path| (path, Origin::Flag("config".to_owned()))).or_else(|| {
        let path = std::env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty())?;
        Some((path.into(), Origin::Env(FILE_VARIABLE.to_owned())))
    });
    load(&Sources { file: read(named)?, env, flags })
}

fn read(named: Option<(PathBuf, Origin)>) -> Result<Option<(PathBuf, String)>, Mistakes> {
    let optional = named.is_none();
    let (path, origin) = named.unwrap_or((FILE.into(), Origin::Default));
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if optional && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let text = format!("{} cannot be read: {error}", path.display());
            Err(Mistakes(vec![Mistake { origin, text }]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_must_be_there_and_the_usual_one_need_not() {
        let Mistakes(all) = load_process(Some("no/such/file.toml".into()), vec![]).expect_err("it is not there");
        assert_eq!((all.len(), &all[0].origin), (1, &Origin::Flag("config".into())));
        assert!(all[0].text.starts_with("no/such/file.toml cannot be read"), "{}", all[0].text);
        assert_eq!(read(None), Ok(None));
    }
}
