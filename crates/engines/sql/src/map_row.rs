//! How a partition map stands in its row: members as JSON, for people to read; owners as bytes, because
//! there are up to 16,384 of them.

use volery_kernel::map::{Member, PartitionMap};

/// A partition that nobody owns.
const NOBODY: u16 = u16::MAX;

/// A list of `[name, url]`.
pub(crate) fn members(map: &PartitionMap) -> sqlx::Result<String> {
    let pairs: Vec<_> = map.members().iter().map(|member| (&member.name, &member.url)).collect();
    serde_json::to_string(&pairs).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Two bytes a partition, big-endian.
pub(crate) fn owners(map: &PartitionMap) -> Vec<u8> {
    map.owners().flat_map(|owner| owner.unwrap_or(NOBODY).to_be_bytes()).collect()
}

/// A map as it was written. What cannot have been written is damage, and is said.
pub(crate) fn map(version: i64, members: &str, owners: &[u8]) -> sqlx::Result<PartitionMap> {
    let pairs: Vec<(String, String)> =
        serde_json::from_str(members).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let members = pairs.into_iter().map(|(name, url)| Member { name, url }).collect();
    let (owners, rest) = owners.as_chunks();
    if !rest.is_empty() {
        return Err(sqlx::Error::Decode("partition_map: owners are two bytes each".into()));
    }
    let owners: Vec<_> = owners.iter().map(|raw| Some(u16::from_be_bytes(*raw)).filter(|raw| *raw != NOBODY)).collect();
    PartitionMap::new(version.cast_unsigned(), members, &owners).map_err(|error| sqlx::Error::Decode(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> PartitionMap {
        let member = |name: &str| Member { name: name.into(), url: format!("ws://{name}:8401/v1/ws") };
        PartitionMap::new(7, vec![member("a"), member("\"é\"")], &[Some(1), None, Some(0)]).expect("a map")
    }

    const MEMBERS: &str = r#"[["a","ws://a:8401/v1/ws"],["\"é\"","ws://\"é\":8401/v1/ws"]]"#;
    const OWNERS: [u8; 6] = [0, 1, 255, 255, 0, 0];

    #[test]
    fn what_is_written_stays_as_it_is() {
        assert_eq!(members(&golden()).expect("encoded"), MEMBERS);
        assert_eq!(owners(&golden()), OWNERS);
        assert_eq!(map(7, MEMBERS, &OWNERS).expect("decoded"), golden());
    }

    #[test]
    fn damage_is_said() {
        for (members, owners) in
            [("", &OWNERS[..]), ("{}", &OWNERS), (MEMBERS, &OWNERS[..5]), (MEMBERS, &[]), ("[]", &OWNERS)]
        {
            assert!(matches!(map(7, members, owners), Err(sqlx::Error::Decode(_))), "{members} {owners:?}");
        }
    }
}
