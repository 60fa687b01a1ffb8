//! One-time codes by phone.

use super::limits::{self, spend};
use super::model::{CODE_S, CODE_TRIES, CODES, CODES_BY_EXPIRY, Code, Device, Refusal, SignedIn, Tried};
use super::sessions;
use crate::engine::{Effect, Question, Resource, Tx};
use crate::people::keyring::{Keyring, nonce};
use crate::people::users::{self, NewUser, Phone};
use storage::Direction;

/// The code of every sandbox.
pub const SANDBOX_CODE: &str = "000000";
/// Who sends codes: an outbox destination.
pub const DESTINATION: &str = "sms";

/// What the answer to a request says. It is the same whether or not the phone is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub expires_in_s: i64,
    pub resend_after_s: u32,
}

/// Makes a code for the phone, in place of an older one, and sends it (in a sandbox the code is known and nothing is sent).
///
/// # Errors
/// [`Refusal::RateLimited`].
pub fn request(tx: &mut Tx, keyring: &Keyring, phone: &Phone, is_sandbox: bool) -> Result<Sent, Refusal> {
    tx.authorize(&Question::new("auth.otp", Resource::new("Auth", "otp")))?;
    let key = keyring.lookup("otp", phone.as_str());
    allow(tx, keyring, phone, is_sandbox)?;

    let code = if is_sandbox { SANDBOX_CODE.to_owned() } else { format!("{:06}", tx.random().next_u64() % 1_000_000) };
    let mut salt = [0; 16];
    tx.random().fill(&mut salt);
    let expires_at = tx.now().plus_s(CODE_S);
    CODES.put(tx, &key, &Code { hash: hash(keyring, phone, &salt, &code), salt, tries_left: CODE_TRIES, expires_at });
    sweep(tx);

    if !is_sandbox {
        let message = serde_json::json!({ "to": phone.as_str(), "code": code }).to_string();
        let body = serde_json::json!({ "sealed": keyring.seal_effect(nonce(tx), message.as_bytes()) }).to_string();
        let subject = u128::from_be_bytes(key[..16].try_into().expect("the first half of 32 bytes is 16 bytes"));
        tx.effect(Effect::new(DESTINATION, subject, "otp", body));
    }
    Ok(Sent { expires_in_s: CODE_S, resend_after_s: if is_sandbox { 0 } else { limits::RESEND.every_s } })
}

fn allow(tx: &mut Tx, keyring: &Keyring, phone: &Phone, is_sandbox: bool) -> Result<(), Refusal> {
    let of_phone = keyring.lookup("limit.phone", phone.as_str());
    if is_sandbox {
        return spend(tx, &of_phone, limits::PHONE_SANDBOX);
    }
    spend(tx, &keyring.lookup("limit.resend", phone.as_str()), limits::RESEND)?;
    spend(tx, &of_phone, limits::PHONE)?;
    if let Some(address) = tx.caller().address {
        spend(tx, &keyring.lookup("limit.address", &network(address)), limits::ADDRESS)?;
    }
    spend(tx, &keyring.lookup("limit.country", phone.prefix().0), limits::COUNTRY)
}

/// An IPv4 address, or the /64 that one subscriber of IPv6 has.
fn network(address: std::net::IpAddr) -> String {
    match address.to_canonical() {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("{:x}/64", u128::from(address) >> 64),
    }
}

fn hash(keyring: &Keyring, phone: &Phone, salt: &[u8; 16], code: &str) -> [u8; 32] {
    keyring.lookup("otp.code", &format!("{:032x}\0{}\0{code}", u128::from_be_bytes(*salt), phone.as_str()))
}

/// Each new code takes up to two expired ones away.
fn sweep(tx: &mut Tx) {
    let now = tx.now();
    let stale: Vec<[u8; 32]> = CODES
        .page(tx, &CODES_BY_EXPIRY, &(), None, Direction::Forward)
        .take(2)
        .filter(|(_, _, code)| code.expires_at < now)
        .map(|(_, key, _)| key)
        .collect();
    for key in &stale {
        CODES.delete(tx, key);
    }
}

/// Tries a code. The right one signs in, and makes the user if the phone is new.
///
/// # Errors
/// [`Refusal::OtpDead`] (none sent, used, expired, or tried five times); remembered: [`Refusal::WrongOtp`].
pub fn verify(tx: &mut Tx, keyring: &Keyring, phone: &Phone, tried: &str, device: Option<Device>) -> Result<Tried<SignedIn>, Refusal> {
    tx.authorize(&Question::new("auth.otp", Resource::new("Auth", "otp")))?;
    let key = keyring.lookup("otp", phone.as_str());
    let now = tx.now();
    let mut code = CODES.get(tx, &key).filter(|code| now < code.expires_at && code.tries_left > 0).ok_or(Refusal::OtpDead)?;
    // Hashes under a secret key: comparing them says nothing about the code, in whatever time.
    if hash(keyring, phone, &code.salt, tried) != code.hash {
        code.tries_left -= 1;
        CODES.put(tx, &key, &code);
        return Ok(Tried::Refused(Refusal::WrongOtp { attempts_left: code.tries_left }));
    }
    CODES.delete(tx, &key);
    let (user, is_new) = match users::by_phone(tx, keyring, phone) {
        Some((_, user)) if user.suspended => return Err(Refusal::Suspended),
        Some((id, _)) => (id, false),
        None => (users::create(tx, keyring, NewUser { phone: Some(phone.clone()), ..NewUser::default() })?, true),
    };
    Ok(Tried::Done(sessions::begin(tx, keyring, user, device, is_new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_subscriber_is_one_address() {
        let cases = [
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ];
        for (a, b, same) in cases {
            assert_eq!(network(a.parse().expect("an address")) == network(b.parse().expect("an address")), same, "{a} {b}");
        }
    }
}
