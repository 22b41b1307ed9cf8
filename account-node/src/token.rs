//! Access tokens: JWTs signed with Ed25519, their keys named by `kid`. No I/O, no clock. Who signs has the
//! secret keys; who verifies needs the published ones alone, and may be anywhere.
//!
//! Trap avoided: the JWT library would read the clock by itself and allow a minute of grace; so it
//! only checks the signature, the issuer and the audience, and whoever knows the time judges `exp`.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use volery_kernel::id::Id;
use volery_kernel::limits;
use volery_kernel::time::Timestamp;
use volery_ports::accounts::Claims;
use volery_ports::sql::SigningKey;

/// PKCS #8 around the 32 bytes of an Ed25519 private key (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// What stands in a token. Ids are strings, times are seconds.
#[derive(Serialize, Deserialize)]
struct Content {
    iss: String,
    aud: String,
    sub: String,
    device: String,
    iat: u64,
    exp: u64,
}

/// Signs with the newest key.
pub(crate) struct Signer {
    issuer: String,
    audience: String,
    kid: String,
    signing: EncodingKey,
    jwks: String,
}

impl Signer {
    /// From the keys, the newest first; at least one.
    pub(crate) fn new(keys: &[SigningKey], issuer: &str, audience: &str) -> Result<Self, String> {
        let newest = keys.first().ok_or("there is no signing key")?;
        let published = keys.iter().map(public_key).collect::<Result<_, _>>()?;
        Ok(Self {
            issuer: issuer.into(),
            audience: audience.into(),
            kid: newest.kid.clone(),
            signing: private_key(newest),
            jwks: serde_json::to_string(&JwkSet { keys: published }).map_err(|e| e.to_string())?,
        })
    }

    /// The public keys as a JSON Web Key Set.
    pub(crate) fn jwks(&self) -> &str {
        &self.jwks
    }

    /// A token that says `claims`; its expiry is cut to whole seconds.
    pub(crate) fn sign(&self, claims: Claims, now: Timestamp) -> Result<String, String> {
        let content = Content {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: claims.user.to_string(),
            device: claims.device.to_string(),
            iat: now.0 / 1_000,
            exp: claims.expires.0 / 1_000,
        };
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &content, &self.signing).map_err(|e| e.to_string())
    }
}

/// Verifies with all keys that were published.
pub(crate) struct Keys {
    by_name: HashMap<String, DecodingKey>,
    validation: Validation,
    published: String,
}

impl Keys {
    /// From a JSON Web Key Set; keys of a kind that we do not sign with are left out.
    pub(crate) fn read(jwks: String, issuer: &str, audience: &str) -> Result<Self, String> {
        let set: JwkSet = serde_json::from_str(&jwks).map_err(|e| e.to_string())?;
        let named = |key: &Jwk| Some((key.common.key_id.clone()?, DecodingKey::from_jwk(key).ok()?));
        let by_name = set.keys.iter().filter_map(named).collect();
        Ok(Self { by_name, validation: validation(issuer, audience), published: jwks })
    }

    /// As they were published.
    pub(crate) fn published(&self) -> &str {
        &self.published
    }

    /// Whether the key of this name is there.
    pub(crate) fn has(&self, kid: &str) -> bool {
        self.by_name.contains_key(kid)
    }

    /// What a token of ours says, expired or not; `None` for anything else.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        let key = self.by_name.get(&key_of(token)?)?;
        let content = decode::<Content>(token, key, &self.validation).ok()?.claims;
        Some(Claims {
            user: content.sub.parse().ok()?,
            device: content.device.parse().ok()?,
            expires: Timestamp(content.exp.checked_mul(1_000)?),
        })
    }
}

/// Which key is said to have signed; `None` if it is no token.
pub(crate) fn key_of(token: &str) -> Option<String> {
    if token.len() > limits::TOKEN_BYTES.value {
        return None;
    }
    decode_header(token).ok()?.kid
}

fn validation(issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_exp = false;
    validation
}

fn private_key(key: &SigningKey) -> EncodingKey {
    EncodingKey::from_ed_der(&[PKCS8_PREFIX.as_slice(), &key.secret].concat())
}

fn public_key(key: &SigningKey) -> Result<Jwk, String> {
    let mut jwk = Jwk::from_encoding_key(&private_key(key), Algorithm::EdDSA).map_err(|e| e.to_string())?;
    jwk.common.key_id = Some(key.kid.clone());
    Ok(jwk)
}

/// A key for the first start, from 32 random bytes, named by the id that made it.
pub(crate) fn first_key(secret: [u8; 32], named: Id, now: Timestamp) -> SigningKey {
    SigningKey { kid: BASE64.encode(named.get().to_be_bytes()), secret, created: now }
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery_kernel::id::{DeviceId, UserId};

    fn key(number: u8) -> SigningKey {
        SigningKey { kid: format!("k{number}"), secret: [number; 32], created: Timestamp(number.into()) }
    }

    fn tokens(keys: &[SigningKey], issuer: &str, audience: &str) -> (Signer, Keys) {
        let signer = Signer::new(keys, issuer, audience).expect("keys");
        let published = Keys::read(signer.jwks().into(), issuer, audience).expect("keys");
        (signer, published)
    }

    fn claims() -> Claims {
        let id = |number| Id::new(number).expect("an id");
        Claims { user: UserId(id(1 << 60)), device: DeviceId(id(7)), expires: Timestamp(9_000) }
    }

    #[test]
    fn what_was_signed_is_read() {
        let (signer, ours) = tokens(&[key(1)], "volery", "chat");
        let token = signer.sign(claims(), Timestamp(0)).expect("signed");
        assert_eq!(ours.verify(&token), Some(claims()));
        assert_eq!(tokens(&[key(2), key(1)], "volery", "chat").1.verify(&token), Some(claims()), "an older key's");
    }

    #[test]
    fn forged_and_foreign_tokens_are_nothing() {
        let (signer, ours) = tokens(&[key(1)], "volery", "chat");
        let token = signer.sign(claims(), Timestamp(0)).expect("signed");
        let impostor = SigningKey { secret: [9; 32], ..key(1) };
        for foreign in [
            tokens(&[impostor], "volery", "chat"),
            tokens(&[key(2)], "volery", "chat"),
            tokens(&[key(1)], "other", "chat"),
            tokens(&[key(1)], "volery", "mail"),
        ] {
            assert_eq!(foreign.1.verify(&token), None);
        }
        let (content, signature) = token.rsplit_once('.').expect("three parts");
        let (header, _) = content.split_once('.').expect("three parts");
        let none = BASE64.encode(r#"{"alg":"none","kid":"k1"}"#);
        let body = BASE64.encode(r#"{"iss":"volery","aud":"chat","sub":"1","device":"7","iat":0,"exp":9}"#);
        for forged in [
            format!("{header}.{body}.{signature}"),
            format!("{none}.{body}."),
            format!("{content}."),
            "a.b.c".into(),
            String::new(),
            "x".repeat(5_000),
        ] {
            assert_eq!(ours.verify(&forged), None, "{forged}");
        }
    }

    #[test]
    fn published_keys_are_public_keys() {
        let set: serde_json::Value = serde_json::from_str(tokens(&[key(1)], "i", "a").0.jwks()).expect("JSON");
        let published = &set["keys"][0];
        assert_eq!((published["kty"].as_str(), published["crv"].as_str()), (Some("OKP"), Some("Ed25519")));
        assert_eq!((published["kid"].as_str(), published["alg"].as_str()), (Some("k1"), Some("EdDSA")));
        assert!(published.get("d").is_none());
    }
}
