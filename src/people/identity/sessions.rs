//! Session families and their refresh tokens.
//!
//! `rt_` and 128 hexadecimal digits: the family's id (16 bytes), the secret (32 random bytes), a tag (16 bytes, keyed hash of both).
//! Stored is only BLAKE3 of the one secret that is good now. The tag proves that a token was once ours, so that a *used* one is told from an
//! invented one for ever, without keeping them all: only a used one ends the family, and nobody can end a family that they merely know the id of.

use storage::{Direction, Read, Timestamp};

use super::model::{
    Device, Ended, FAMILIES, FAMILIES_BY_EXPIRY, FAMILIES_BY_USER, FAMILY_IDLE_S, FAMILY_MAX_S, Family, Refusal, SessionId, SignedIn, Tried,
};
use crate::engine::{Denied, Question, Resource, Tx, UserId};
use crate::people::keyring::{Keyring, hex, unhex};
use crate::people::users;

const PREFIX: &str = "rt_";

/// A parsed refresh token that we made.
struct Presented {
    session: SessionId,
    hash: [u8; 32],
}

fn tag(keyring: &Keyring, body: &[u8]) -> [u8; 16] {
    let mut tag = [0; 16];
    tag.copy_from_slice(&keyring.lookup("refresh", &hex(body))[..16]);
    tag
}

fn mint(tx: &mut Tx, keyring: &Keyring, session: SessionId) -> (String, [u8; 32]) {
    let mut secret = [0; 32];
    tx.random().fill(&mut secret);
    let mut body = session.as_u128().to_be_bytes().to_vec();
    body.extend_from_slice(&secret);
    let tag = tag(keyring, &body);
    (format!("{PREFIX}{}{}", hex(&body), hex(&tag)), *blake3::hash(&secret).as_bytes())
}

fn parse(keyring: &Keyring, token: &str) -> Option<Presented> {
    let bytes = unhex(token.strip_prefix(PREFIX)?)?;
    let (body, sent) = bytes.split_at_checked(48)?;
    // blake3::Hash compares in constant time; the tag is widened to use it.
    let widen = |tag: &[u8]| blake3::hash(tag);
    if widen(&tag(keyring, body)) != widen(sent) {
        return None;
    }
    let (session, secret) = body.split_first_chunk::<16>()?;
    Some(Presented { session: SessionId::from_u128(u128::from_be_bytes(*session)), hash: *blake3::hash(secret).as_bytes() })
}

/// Signs a user in: a new family. The caller has been authorized and has proved who they are.
pub fn begin(tx: &mut Tx, keyring: &Keyring, user: UserId, device: Option<Device>, is_new: bool) -> SignedIn {
    let session: SessionId = tx.new_id();
    let (refresh_token, current) = mint(tx, keyring, session);
    let now = tx.now();
    let expires_at = now.plus_s(FAMILY_IDLE_S);
    FAMILIES.put(tx, &session, &Family { user, device, current, created_at: now, refreshed_at: now, expires_at, ended: None });
    sweep(tx, now);
    SignedIn { user, session, refresh_token, is_new }
}

/// Each new family takes up to two away that are long over.
fn sweep(tx: &mut Tx, now: Timestamp) {
    let stale: Vec<SessionId> = FAMILIES
        .page(tx, &FAMILIES_BY_EXPIRY, &(), None, Direction::Forward)
        .take(2)
        .filter(|(_, _, family)| family.expires_at < now)
        .map(|(_, id, _)| id)
        .collect();
    for id in &stale {
        FAMILIES.delete(tx, id);
    }
}

/// Trades a refresh token for a new one. `device` is the caller's device id, if they say it.
///
/// # Errors
/// [`Refusal::BadToken`], [`Refusal::Suspended`]; remembered, with the family ended: [`Refusal::TokenReused`], [`Refusal::WrongDevice`].
pub fn refresh(tx: &mut Tx, keyring: &Keyring, token: &str, device: Option<&str>) -> Result<Tried<SignedIn>, Refusal> {
    tx.authorize(&Question::new("auth.refresh", Resource::new("Auth", "refresh")))?;
    let presented = parse(keyring, token).ok_or(Refusal::BadToken)?;
    let now = tx.now();
    let mut family = FAMILIES.get(tx, &presented.session).ok_or(Refusal::BadToken)?;
    match family.ended {
        None if now < family.expires_at => (),
        Some((Ended::TokenReused, _)) => return Err(Refusal::TokenReused),
        None | Some((Ended::LoggedOut | Ended::WrongDevice | Ended::PasswordChanged, _)) => return Err(Refusal::BadToken),
    }
    if presented.hash != family.current {
        end(tx, presented.session, Ended::TokenReused);
        return Ok(Tried::Refused(Refusal::TokenReused));
    }
    if let (Some(bound), Some(device)) = (&family.device, device)
        && bound.id != device
    {
        end(tx, presented.session, Ended::WrongDevice);
        return Ok(Tried::Refused(Refusal::WrongDevice));
    }
    if users::get(tx, family.user).is_none_or(|user| user.suspended) {
        return Err(Refusal::Suspended);
    }
    let (refresh_token, current) = mint(tx, keyring, presented.session);
    family.current = current;
    family.refreshed_at = now;
    family.expires_at = now.plus_s(FAMILY_IDLE_S).min(family.created_at.plus_s(FAMILY_MAX_S));
    FAMILIES.put(tx, &presented.session, &family);
    Ok(Tried::Done(SignedIn { user: family.user, session: presented.session, refresh_token, is_new: false }))
}

/// Ends the caller's own sign-in.
///
/// # Errors
/// [`Refusal::Denied`].
pub fn log_out(tx: &mut Tx) -> Result<(), Refusal> {
    tx.authorize(&Question::new("auth.logout", Resource::new("Auth", "session")))?;
    let session = tx.caller().session.ok_or(Denied::Unauthenticated)?;
    end(tx, SessionId::from_u128(session), Ended::LoggedOut);
    Ok(())
}

fn end(tx: &mut Tx, session: SessionId, why: Ended) {
    if let Some(mut family) = FAMILIES.get(tx, &session).filter(|family| family.ended.is_none()) {
        family.ended = Some((why, tx.now()));
        FAMILIES.put(tx, &session, &family);
    }
}

/// Ends all sign-ins of a user, but for one. Part of another, decided command.
pub fn end_all(tx: &mut Tx, user: UserId, but: Option<SessionId>, why: Ended) {
    let sessions: Vec<SessionId> = FAMILIES.keys(tx, &FAMILIES_BY_USER, &user).filter(|session| Some(*session) != but).collect();
    for session in sessions {
        end(tx, session, why);
    }
}

/// Removes all sign-ins of a user, with the devices that they came from. Part of another, decided command.
pub(in crate::people) fn forget_all(tx: &mut Tx, user: UserId) {
    let sessions: Vec<SessionId> = FAMILIES.keys(tx, &FAMILIES_BY_USER, &user).collect();
    for session in sessions {
        FAMILIES.delete(tx, &session);
    }
}

/// The family, unless it was ended. An idle one ends at its next refresh; access tokens of it live 15 minutes at most.
pub fn live(read: &(impl Read + ?Sized), session: SessionId) -> Option<Family> {
    FAMILIES.get(read, &session).filter(|family| family.ended.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_that_we_made_are_known() {
        let keyring = Keyring::in_memory([5; 32]);
        let body = [[7; 16].as_slice(), &[8; 32]].concat();
        let good = format!("{PREFIX}{}{}", hex(&body), hex(&tag(&keyring, &body)));
        let presented = parse(&keyring, &good).expect("ours");
        assert_eq!((presented.session.as_u128().to_be_bytes(), presented.hash), ([7; 16], *blake3::hash(&[8; 32]).as_bytes()));

        let other_secret = [[7; 16].as_slice(), &[9; 32]].concat();
        let cases = [
            good[3..].to_owned(),
            good.replace("rt_07", "rt_06"),
            format!("{PREFIX}{}{}", hex(&other_secret), hex(&tag(&keyring, &body))),
            format!("{good}00"),
            good[..good.len() - 2].to_owned(),
            format!("{PREFIX}{}", "é".repeat(64)),
            PREFIX.to_owned(),
            String::new(),
        ];
        for token in cases {
            assert!(parse(&keyring, &token).is_none(), "{token}");
        }
        assert!(parse(&Keyring::in_memory([6; 32]), &good).is_none(), "another appliance's token");
    }
}
