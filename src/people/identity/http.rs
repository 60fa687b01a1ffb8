//! `/v1/auth/…` and the published keys. Tokens are signed after the commit, outside the writer; none of these answers is stored or cached.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::{Device, Refusal, SignedIn, Tried};
use super::tokens::ACCESS_S;
use super::{otp, password, sessions};
use crate::edge::{Command, Empty, Problem, PublicCommand};
use crate::engine::{Done, Engine, Tx, Verdict};
use crate::people::People;
use crate::people::users::{self, Email, Phone, Role, UserId};

/// The routes, for a router whose state is [`People`].
pub fn routes() -> OpenApiRouter<People> {
    OpenApiRouter::new()
        .routes(routes!(request_otp))
        .routes(routes!(verify_otp))
        .routes(routes!(register))
        .routes(routes!(log_in))
        .routes(routes!(change_password))
        .routes(routes!(refresh))
        .routes(routes!(log_out))
        .routes(routes!(published_keys))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OtpRequest {
    /// E.164.
    #[schema(example = "+233241234567")]
    phone: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct OtpSent {
    /// Seconds.
    expires_in: i64,
    /// Seconds.
    resend_after: u32,
    /// The code itself, in a sandbox only.
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox_otp: Option<&'static str>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OtpVerify {
    #[schema(example = "+233241234567")]
    phone: String,
    #[schema(example = "000000")]
    otp: String,
    device: Option<Device>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Register {
    email: String,
    /// At least 8 characters.
    password: String,
    name: String,
    device: Option<Device>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LogIn {
    email: String,
    password: String,
    device: Option<Device>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangePassword {
    current: String,
    /// At least 8 characters.
    new: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Refresh {
    refresh_token: String,
    /// If it is said, it must be the device of the sign-in.
    device_id: Option<String>,
}

/// What a sign-in gives.
#[derive(Serialize, ToSchema)]
struct Session {
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    refresh_token: String,
    user: SessionUser,
}

#[derive(Serialize, ToSchema)]
struct SessionUser {
    #[schema(value_type = String)]
    id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    roles: Vec<Role>,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::WrongOtp { attempts_left } => Self::new(422, "wrong_otp", detail).with("attempts_left", attempts_left),
            Refusal::OtpDead => Self::new(422, "otp_dead", detail),
            Refusal::WrongCredentials => Self::new(422, "wrong_credentials", detail),
            Refusal::EmailTaken => Self::new(409, "email_taken", detail),
            Refusal::RateLimited { retry_after_s } => Self::new(429, "rate_limited", detail).retry_after(retry_after_s),
            Refusal::BadToken => Self::new(401, "invalid_token", detail),
            Refusal::TokenReused => Self::new(401, "token_reused", detail),
            Refusal::WrongDevice => Self::new(401, "wrong_device", detail),
            Refusal::Suspended => Self::new(403, "suspended", detail),
            Refusal::PasswordMoved => Self::new(409, "password_changed", detail),
            Refusal::Denied(denied) => denied.into(),
            Refusal::Fault(fault) => fault.into(),
        }
    }
}

impl<T> From<Tried<T>> for Verdict<T> {
    fn from(tried: Tried<T>) -> Self {
        match tried {
            Tried::Done(value) => Self::Done(value),
            Tried::Refused(refusal) => Self::Refused(refusal.into()),
        }
    }
}

fn phone(text: &str) -> Result<Phone, Problem> {
    text.parse().map_err(|error: users::NotAContact| Problem::invalid("/phone", "bad_phone", error.to_string()))
}

fn email(text: &str) -> Result<Email, Problem> {
    text.parse().map_err(|error: users::NotAContact| Problem::invalid("/email", "bad_email", error.to_string()))
}

/// A new password: long enough, and not without end.
fn new_password(pointer: &str, text: &str) -> Result<(), Problem> {
    if text.chars().count() < password::CHARS_MIN {
        return Err(Problem::invalid(pointer, "too_short", format!("a password has at least {} characters", password::CHARS_MIN)));
    }
    known_password(pointer, text)
}

/// A password that somebody claims to have: measuring a novel would be work for nothing.
fn known_password(pointer: &str, text: &str) -> Result<(), Problem> {
    if text.len() > password::BYTES_MAX {
        return Err(Problem::invalid(pointer, "too_long", format!("a password has at most {} bytes", password::BYTES_MAX)));
    }
    Ok(())
}

fn device(device: Option<Device>) -> Result<Option<Device>, Problem> {
    let Some(device) = device else { return Ok(None) };
    if !(1..=100).contains(&device.id.chars().count()) {
        return Err(Problem::invalid("/device/id", "out_of_range", "a device's id has 1 to 100 characters"));
    }
    for (pointer, text) in [("/device/name", &device.name), ("/device/platform", &device.platform)] {
        if text.chars().count() > 100 {
            return Err(Problem::invalid(pointer, "too_long", "at most 100 characters"));
        }
    }
    Ok(Some(device))
}

/// Signs the access token of a sign-in that has been committed, and shows both.
fn session(people: &People, engine: &Engine, status: StatusCode, done: Done<Verdict<SignedIn>>) -> Result<Response, Problem> {
    let (signed_in, position) = match done.value {
        Verdict::Done(signed_in) => (signed_in, done.position),
        Verdict::Refused(problem) => return Err(problem),
    };
    let view = engine.view();
    let user = users::get(&*view, signed_in.user).ok_or(Refusal::BadToken)?;
    if signed_in.is_new {
        let (keyring, view) = (people.keyring.clone(), view.clone());
        // Not awaited: if it fails, the next sign-up does it itself.
        drop(tokio::task::spawn_blocking(move || keyring.keep_ahead(&*view)));
    }
    let access_token = people.tokens.issue(signed_in.user, &user, signed_in.session)?;
    let shown = users::view(&*view, signed_in.user, &user);
    let user = SessionUser { id: shown.id, phone: shown.phone, email: shown.email, name: shown.name, roles: shown.roles };
    let body = Session { access_token, token_type: "Bearer", expires_in: ACCESS_S, refresh_token: signed_in.refresh_token, user };
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(seq) = HeaderValue::try_from(format!("{}.{}", position.epoch, position.seq)) {
        headers.insert("medina-seq", seq);
    }
    Ok(response)
}

/// Runs a command that signs in.
async fn sign_in<B, F>(people: &People, command: Command<B>, name: &'static str, status: StatusCode, run: F) -> Result<Response, Problem>
where
    F: FnOnce(&mut Tx, B) -> Result<Tried<SignedIn>, Refusal> + Send + 'static,
    B: Send + 'static,
{
    let Command { caller, engine, body, .. } = command;
    let done = engine.write(&caller, name, move |tx| Ok::<_, Problem>(run(tx, body)?.into())).await?;
    session(people, &engine, status, done)
}

/// Asks for a one-time code. The answer is the same whether or not the phone is known.
#[utoipa::path(post, path = "/v1/auth/otp/request", tag = "identity", security(()), request_body = OtpRequest, responses((status = 200, body = OtpSent)))]
async fn request_otp(State(people): State<People>, PublicCommand(command): PublicCommand<OtpRequest>) -> Result<Response, Problem> {
    let phone = phone(&command.body.phone)?;
    let is_sandbox = command.engine.is_sandbox();
    if !is_sandbox && !people.sends_sms {
        return Err(Problem::new(503, "sms_unavailable", "text messages are not sent here; sign in with e-mail and password"));
    }
    command
        .run("auth.otp.request", StatusCode::OK, move |tx, _| {
            let sent = otp::request(tx, &people.keyring, &phone, is_sandbox)?;
            Ok(OtpSent {
                expires_in: sent.expires_in_s,
                resend_after: sent.resend_after_s,
                sandbox_otp: is_sandbox.then_some(otp::SANDBOX_CODE),
            })
        })
        .await
}

/// Signs in with a one-time code; makes the account if the phone is new.
#[utoipa::path(post, path = "/v1/auth/otp/verify", tag = "identity", security(()), request_body = OtpVerify, responses((status = 200, body = Session)))]
async fn verify_otp(State(people): State<People>, PublicCommand(command): PublicCommand<OtpVerify>) -> Result<Response, Problem> {
    let phone = phone(&command.body.phone)?;
    device(command.body.device.clone())?;
    let keyring = people.keyring.clone();
    sign_in(&people, command, "auth.otp.verify", StatusCode::OK, move |tx, body| otp::verify(tx, &keyring, &phone, &body.otp, body.device))
        .await
}

/// Makes an account with e-mail and password.
#[utoipa::path(post, path = "/v1/auth/register", tag = "identity", security(()), request_body = Register, responses((status = 201, body = Session)))]
async fn register(State(people): State<People>, PublicCommand(command): PublicCommand<Register>) -> Result<Response, Problem> {
    let email = email(&command.body.email)?;
    new_password("/password", &command.body.password)?;
    let name = users::http::name("/name", &command.body.name)?;
    let device = device(command.body.device.clone())?;
    let phc = people.hashing.hash(command.body.password.clone()).await?;
    let keyring = people.keyring.clone();
    let run = move |tx: &mut Tx, _| password::register(tx, &keyring, &email, phc, name, device).map(Tried::Done);
    sign_in(&people, command, "auth.register", StatusCode::CREATED, run).await
}

/// Signs in with e-mail and password.
#[utoipa::path(post, path = "/v1/auth/login", tag = "identity", security(()), request_body = LogIn, responses((status = 200, body = Session)))]
async fn log_in(State(people): State<People>, PublicCommand(command): PublicCommand<LogIn>) -> Result<Response, Problem> {
    let email = email(&command.body.email)?;
    known_password("/password", &command.body.password)?;
    let device = device(command.body.device.clone())?;
    let candidate = password::candidate(&*command.engine.view(), &people.keyring, &email, command.engine.now())?;
    let fits = people.hashing.verify(command.body.password.clone(), candidate.phc.clone()).await?;
    let keyring = people.keyring.clone();
    let run = move |tx: &mut Tx, _| password::log_in(tx, &keyring, &email, &candidate, fits, device);
    sign_in(&people, command, "auth.login", StatusCode::OK, run).await
}

/// Changes the password; all other sign-ins end.
#[utoipa::path(post, path = "/v1/auth/password", tag = "identity", request_body = ChangePassword, responses((status = 204)))]
async fn change_password(State(people): State<People>, command: Command<ChangePassword>) -> Result<Response, Problem> {
    known_password("/current", &command.body.current)?;
    new_password("/new", &command.body.new)?;
    let candidate = password::own(&*command.engine.view(), &people.keyring, command.caller.user_id(), command.engine.now())?;
    let fits = people.hashing.verify(command.body.current.clone(), candidate.phc.clone()).await?;
    let phc = people.hashing.hash(command.body.new.clone()).await?;
    command
        .run_verdict("auth.password", StatusCode::NO_CONTENT, move |tx, _| {
            Ok(password::change(tx, &people.keyring, &candidate, fits, phc)?.into())
        })
        .await
}

/// Trades a refresh token for a new session; the old token is used up, and using it again ends the sign-in.
#[utoipa::path(post, path = "/v1/auth/refresh", tag = "identity", security(()), request_body = Refresh, responses((status = 200, body = Session)))]
async fn refresh(State(people): State<People>, PublicCommand(command): PublicCommand<Refresh>) -> Result<Response, Problem> {
    let keyring = people.keyring.clone();
    let run = move |tx: &mut Tx, body: Refresh| sessions::refresh(tx, &keyring, &body.refresh_token, body.device_id.as_deref());
    sign_in(&people, command, "auth.refresh", StatusCode::OK, run).await
}

/// Ends this sign-in.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "identity", responses((status = 204)))]
async fn log_out(command: Command<Empty>) -> Result<Response, Problem> {
    command.run("auth.logout", StatusCode::NO_CONTENT, |tx, _| Ok(sessions::log_out(tx)?)).await
}

/// The public keys that access tokens are verified with (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "identity", security(()), responses((status = 200, content_type = "application/json")))]
async fn published_keys(State(people): State<People>) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(people.tokens.published())).into_response()
}
