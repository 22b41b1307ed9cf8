//! How a partition map stands in its row: members as JSON, for people to read; owners as bytes, because
//! there are up to 16,384 of them. Fuzzing reads them as well.

use serde::{Deserialize, Serialize};
use volery_kernel::map::{Member, MemberState, PartitionMap, Weight};

/// A partition that nobody owns.
const NOBODY: u16 = u16::MAX;

/// One that was written before there were weights has a name and a URL alone.
#[derive(Serialize, Deserialize)]
struct Row(String, String, #[serde(default = "one")] u16, #[serde(default = "serving")] String);

fn one() -> u16 {
    Weight::ONE.get()
}

fn serving() -> String {
    MemberState::Serving.name().to_owned()
}

/// A list of `[name, url, weight, state]`.
///
/// # Errors
/// `Encode`, if no JSON can be made of them.
pub fn members(map: &PartitionMap) -> sqlx::Result<String> {
    let row = |Member { name, url, weight, state }: Member| Row(name, url, weight.get(), state.name().to_owned());
    let rows: Vec<_> = map.members().iter().cloned().map(row).collect();
    serde_json::to_string(&rows).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn member(Row(name, url, weight, state): Row) -> sqlx::Result<Member> {
    Ok(Member { name, url, weight: self::weight(weight)?, state: self::state(&state)? })
}

/// A weight as it was written.
pub(crate) fn weight(column: u16) -> sqlx::Result<Weight> {
    Weight::new(column).ok_or_else(|| sqlx::Error::Decode(format!("{column} is no weight").into()))
}

/// A state as it was written.
pub(crate) fn state(column: &str) -> sqlx::Result<MemberState> {
    MemberState::named(column).ok_or_else(|| sqlx::Error::Decode(format!("{column:?} is no state").into()))
}

/// Two bytes a partition, big-endian.
pub fn owners(map: &PartitionMap) -> Vec<u8> {
    map.owners().flat_map(|owner| owner.unwrap_or(NOBODY).to_be_bytes()).collect()
}

/// A map as it was written. What cannot have been written is damage, and is said.
///
/// # Errors
/// `Decode`: damage.
pub fn map(version: i64, members: &str, owners: &[u8]) -> sqlx::Result<PartitionMap> {
    let rows: Vec<Row> = serde_json::from_str(members).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let members = rows.into_iter().map(member).collect::<sqlx::Result<_>>()?;
    let (owners, rest) = owners.as_chunks();
    if !rest.is_empty() {
        return Err(sqlx::Error::Decode("partition_maps: owners are two bytes each".into()));
    }
    let owners: Vec<_> = owners.iter().map(|raw| Some(u16::from_be_bytes(*raw)).filter(|raw| *raw != NOBODY)).collect();
    PartitionMap::new(version.cast_unsigned(), members, &owners).map_err(|error| sqlx::Error::Decode(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> PartitionMap {
        let drained =
            Member { state: MemberState::Draining, weight: Weight::new(100).expect("a weight"), ..member("a") };
        PartitionMap::new(7, vec![drained, member("b\"é\"")], &[Some(1), None, Some(0)]).expect("a map")
    }

    fn member(name: &str) -> Member {
        Member::new(name.into(), format!("ws://{name}:8401/v1/ws"))
    }

    const MEMBERS: &str =
        r#"[["a","ws://a:8401/v1/ws",100,"draining"],["b\"é\"","ws://b\"é\":8401/v1/ws",1,"serving"]]"#;
    const OWNERS: [u8; 6] = [0, 1, 255, 255, 0, 0];

    #[test]
    fn what_is_written_stays_as_it_is() {
        assert_eq!(members(&golden()).expect("encoded"), MEMBERS);
        assert_eq!(owners(&golden()), OWNERS);
        assert_eq!(map(7, MEMBERS, &OWNERS).expect("decoded"), golden());
        let before = map(7, r#"[["a","ws://a:8401/v1/ws"]]"#, &[0, 0]).expect("decoded");
        assert_eq!(before.members(), [member("a")], "as it was before there were weights");
    }

    #[test]
    fn damage_is_said() {
        for (members, owners) in [
            ("", &OWNERS[..]),
            ("{}", &OWNERS),
            (MEMBERS, &OWNERS[..5]),
            (MEMBERS, &[]),
            ("[]", &OWNERS),
            (r#"[["a","",0,"serving"]]"#, &[0, 0]),
            (r#"[["a","",1,"gone"]]"#, &[0, 0]),
        ] {
            assert!(matches!(map(7, members, owners), Err(sqlx::Error::Decode(_))), "{members} {owners:?}");
        }
    }
}
