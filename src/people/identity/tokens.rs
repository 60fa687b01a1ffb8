//! Access tokens: JWTs after RFC 9068, signed and verified outside the writer.
//!
//! A token proves who (`sub`), which sign-in (`sid`) and until when, by the machine's clock, also under the test clock. Roles and memberships in it are
//! for clients to read; decisions take them from state. Whether the sign-in has ended is looked up at every request, so that a log-out holds at once.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use storage::{Moment, Read, View};

use super::keys::SigningKeys;
use super::model::{FAMILIES, SessionId};
use super::sessions;
use crate::edge::{Authenticate, Unauthenticated};
use crate::engine::{Caller, Fault, Principal, UserId};
use crate::people::keyring::hex;
use crate::people::keyring::slots::random;
use crate::people::users::{Role, User, city_text, courier_text, merchant_text};

/// How long an access token lives.
pub const ACCESS_S: u64 = 15 * 60;
const ISSUER: &str = "medina";
const AUDIENCE: &str = "medina";
/// Source: RFC 9068, section 2.1.
const TYPE: &str = "at+jwt";

/// What a token says. Source: RFC 9068, section 2.2; the rest is private to Medina.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: UserId,
    pub client_id: String,
    pub iat: u64,
    pub exp: u64,
    pub jti: String,
    pub sid: SessionId,
    pub tenant: String,
    pub roles: Vec<Role>,
    /// None yet: all that the roles may do.
    pub scopes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub courier_id: Option<String>,
}

/// What is remembered of a token whose signature was right.
#[derive(Clone, Copy)]
struct Verified {
    user: UserId,
    session: SessionId,
    expires_s: u64,
    /// When its sign-in was last seen to go on.
    live: Option<Moment>,
}

const SHARDS: usize = 16;
/// With 16 shards: 65,536 tokens, some 8 MiB.
const SHARD_TOKENS_MAX: usize = 4_096;

/// Signs and verifies.
pub struct Tokens {
    keys: SigningKeys,
    validation: Validation,
    /// By BLAKE3 of the token: a signature is checked once (some 80 µs), not at each request.
    verified: [Mutex<HashMap<[u8; 32], Verified>>; SHARDS],
}

fn machine_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Tokens {
    /// With the keys of a folder.
    ///
    /// # Errors
    /// The file system's, or damage.
    pub fn open(keys: &Path) -> io::Result<Self> {
        SigningKeys::open(keys).map(Self::with)
    }

    /// With a key that nobody keeps.
    ///
    /// # Errors
    /// The machine made none.
    pub fn in_memory() -> io::Result<Self> {
        SigningKeys::in_memory().map(Self::with)
    }

    fn with(keys: SigningKeys) -> Self {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = 0;
        Self { keys, validation, verified: std::array::from_fn(|_| Mutex::default()) }
    }

    /// The public keys.
    #[must_use]
    pub fn published(&self) -> JwkSet {
        self.keys.published()
    }

    /// A token for a sign-in.
    ///
    /// # Errors
    /// [`Fault`] if the machine does not sign.
    pub fn issue(&self, id: UserId, user: &User, session: SessionId) -> Result<String, Fault> {
        self.sign(&self.claims(id, user, session, machine_s())?)
    }

    fn claims(&self, id: UserId, user: &User, session: SessionId, now_s: u64) -> Result<Claims, Fault> {
        Ok(Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: id,
            client_id: "medina".to_owned(),
            iat: now_s,
            exp: now_s + ACCESS_S,
            jti: hex(&random::<16>().map_err(|error| Fault::new(error.to_string()))?),
            sid: session,
            tenant: "default".to_owned(),
            roles: user.roles.clone(),
            scopes: Vec::new(),
            city_id: user.cities.first().copied().map(city_text),
            customer_id: user.has(Role::Customer).then_some(id),
            merchant_id: user.merchants.first().copied().map(merchant_text),
            courier_id: user.courier.map(courier_text),
        })
    }

    fn sign(&self, claims: &Claims) -> Result<String, Fault> {
        let key = self.keys.newest();
        let header = Header { typ: Some(TYPE.to_owned()), kid: Some(key.kid.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &key.signs).map_err(|error| Fault::new(format!("signing: {error}")))
    }

    /// The token's claims, if we signed it and it is not over.
    ///
    /// # Errors
    /// [`Unauthenticated`].
    pub fn verify(&self, token: &str) -> Result<Claims, Unauthenticated> {
        let bad = |_| Unauthenticated("this access token is not valid");
        let header = jsonwebtoken::decode_header(token).map_err(bad)?;
        if header.typ.as_deref() != Some(TYPE) {
            return Err(Unauthenticated("this is not an access token"));
        }
        let key =
            header.kid.as_deref().and_then(|kid| self.keys.by_id(kid)).ok_or(Unauthenticated("this access token was not signed here"))?;
        jsonwebtoken::decode::<Claims>(token, &key.verifies, &self.validation).map(|token| token.claims).map_err(|error| {
            match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => Unauthenticated("this access token is over: refresh it"),
                _ => Unauthenticated("this access token is not valid"),
            }
        })
    }

    fn remembered(&self, token: &str, now_s: u64) -> Result<([u8; 32], Verified), Unauthenticated> {
        let hash = *blake3::hash(token.as_bytes()).as_bytes();
        let known = self.shard(&hash).get(&hash).copied();
        if let Some(known) = known {
            return if now_s < known.expires_s { Ok((hash, known)) } else { Err(Unauthenticated("this access token is over: refresh it")) };
        }
        let claims = self.verify(token)?;
        let verified = Verified { user: claims.sub, session: claims.sid, expires_s: claims.exp, live: None };
        let mut shard = self.shard(&hash);
        if shard.len() >= SHARD_TOKENS_MAX {
            shard.retain(|_, known| now_s < known.expires_s);
            // All of them live: begin anew. What is lost is time, one signature check each.
            if shard.len() >= SHARD_TOKENS_MAX {
                shard.clear();
            }
        }
        shard.insert(hash, verified);
        Ok((hash, verified))
    }

    fn shard(&self, hash: &[u8; 32]) -> MutexGuard<'_, HashMap<[u8; 32], Verified>> {
        self.verified[usize::from(hash[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authenticate for Tokens {
    fn authenticate(&self, token: &str, view: &View) -> Result<Caller, Unauthenticated> {
        let (hash, Verified { user, session, live, .. }) = self.remembered(token, machine_s())?;
        // The sign-in's row is read again only if it was written since.
        if !live.is_some_and(|since| view.stands(&[FAMILIES.trace(&session)], since)) {
            let family = sessions::live(view, session).filter(|family| family.user == user);
            family.ok_or(Unauthenticated("this sign-in is over: sign in again"))?;
            if let Some(known) = self.shard(&hash).get_mut(&hash) {
                known.live = view.moment();
            }
        }
        Ok(Caller { principal: Principal::User(user), session: Some(session.as_u128()), address: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::identity::keys::rotate;

    fn user() -> User {
        User {
            slot: 0,
            phone: None,
            email: None,
            name: None,
            phone_hash: None,
            email_hash: None,
            roles: vec![Role::Customer, Role::Merchant],
            merchants: vec![5],
            cities: vec![],
            courier: None,
            suspended: false,
            password_change_required: false,
            version: 1,
            created_at: storage::Timestamp::EPOCH,
        }
    }

    const WHO: (UserId, SessionId) = (UserId::from_u128(1), SessionId::from_u128(2));

    #[test]
    fn what_is_signed_is_what_is_read() {
        let tokens = Tokens::in_memory().expect("a key");
        let token = tokens.issue(WHO.0, &user(), WHO.1).expect("signed");
        let claims = tokens.verify(&token).expect("ours");
        assert_eq!((claims.sub, claims.sid, claims.exp - claims.iat), (WHO.0, WHO.1, ACCESS_S));
        assert_eq!(claims.merchant_id.as_deref(), Some("mer_00000000000000000000000005"));
        assert_eq!(claims.customer_id, Some(WHO.0));
        let header = jsonwebtoken::decode_header(&token).expect("a header");
        assert_eq!((header.typ.as_deref(), header.alg), (Some("at+jwt"), Algorithm::ES256));

        // The published key alone is enough for anybody to verify it.
        let published = tokens.published();
        let jwk = published.find(&header.kid.expect("a kid")).expect("published");
        assert!(serde_json::to_value(jwk).expect("JSON").get("d").is_none(), "never the private half");
        let key = jsonwebtoken::DecodingKey::from_jwk(jwk).expect("a key");
        assert!(jsonwebtoken::decode::<Claims>(&token, &key, &tokens.validation).is_ok());
    }

    #[test]
    fn tokens_that_prove_nothing() {
        let (tokens, others) = (Tokens::in_memory().expect("a key"), Tokens::in_memory().expect("a key"));
        let good = tokens.issue(WHO.0, &user(), WHO.1).expect("signed");
        let over = tokens.sign(&tokens.claims(WHO.0, &user(), WHO.1, machine_s() - ACCESS_S - 1).expect("claims")).expect("signed");
        let mut elsewhere = tokens.claims(WHO.0, &user(), WHO.1, machine_s()).expect("claims");
        elsewhere.aud = "others".to_owned();
        let elsewhere = tokens.sign(&elsewhere).expect("signed");
        let key = tokens.keys.newest();
        let claims = tokens.claims(WHO.0, &user(), WHO.1, machine_s()).expect("claims");
        let id_token = Header { kid: Some(key.kid.clone()), ..Header::new(Algorithm::ES256) };
        let id_token = jsonwebtoken::encode(&id_token, &claims, &key.signs).expect("signed");
        let (head, rest) = good.split_once('.').expect("three parts");
        let (body, signature) = rest.split_once('.').expect("three parts");
        let cases = [
            over,
            elsewhere,
            id_token,
            others.issue(WHO.0, &user(), WHO.1).expect("signed"),
            format!("{head}.{body}."),
            format!("{head}.{}.{signature}", body.replace('a', "b")),
            String::new(),
            "a.b.c".to_owned(),
        ];
        assert!(tokens.remembered(&good, machine_s()).is_ok());
        for token in cases {
            assert!(tokens.remembered(&token, machine_s()).is_err(), "{token}");
        }
        assert!(tokens.remembered(&good, machine_s() + ACCESS_S).is_err(), "a remembered token ends in time too");
    }

    #[test]
    fn a_rotation_ends_no_sign_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let before = Tokens::open(folder.path()).expect("opened");
        let token = before.issue(WHO.0, &user(), WHO.1).expect("signed");
        rotate(folder.path()).expect("rotated");
        let after = Tokens::open(folder.path()).expect("opened");
        assert!(after.verify(&token).is_ok(), "the old key still verifies");
        assert_eq!(after.published().keys.len(), 2);
        let newer = after.issue(WHO.0, &user(), WHO.1).expect("signed");
        assert!(before.verify(&newer).is_err(), "the new key signs");
        use std::os::unix::fs::PermissionsExt;
        for entry in std::fs::read_dir(folder.path()).expect("listed") {
            let mode = entry.expect("an entry").metadata().expect("metadata").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "secrets are the owner's alone");
        }
    }
}
