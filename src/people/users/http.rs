//! `/v1/me` and the administration of roles.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer};
use storage::Id;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commands::{change_profile, set_roles};
use super::model::{CityRef, MerchantRef, Profile, Refusal, Role, Roles};
use super::views::{self, UserView};
use super::{Email, UserId};
use crate::edge::{Command, Ctx, Path, Problem};
use crate::engine::{Denied, Question, Resource};
use crate::people::People;

/// The routes, for a router whose state is [`People`].
pub fn routes() -> OpenApiRouter<People> {
    OpenApiRouter::new().routes(routes!(me, change_me)).routes(routes!(change_roles))
}

/// A JSON merge patch: absent leaves, null clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MePatch {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
}

fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RolesBody {
    roles: Vec<Role>,
    /// Whose staff they are; absent leaves it.
    #[schema(value_type = Option<Vec<String>>)]
    merchant_ids: Option<Vec<Id<MerchantRef>>>,
    /// Which cities a support person is for; empty is all, absent leaves it.
    #[schema(value_type = Option<Vec<String>>)]
    city_ids: Option<Vec<Id<CityRef>>>,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::Unknown => Self::not_found(),
            Refusal::EmailTaken => Self::new(409, "email_taken", detail),
            Refusal::LastContact => Self::new(409, "last_contact", detail),
            Refusal::LastAdmin => Self::new(409, "last_admin", detail),
            Refusal::Changed { .. } => Self::new(412, "precondition_failed", detail),
            Refusal::Denied(denied) => denied.into(),
            Refusal::Fault(fault) => fault.into(),
        }
    }
}

/// A person's name as they write it: 1 to 100 characters, none of them control characters.
pub(in crate::people) fn name(pointer: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if !(1..=100).contains(&text.chars().count()) || text.chars().any(char::is_control) {
        return Err(Problem::invalid(pointer, "out_of_range", "a name has 1 to 100 characters"));
    }
    Ok(text.to_owned())
}

/// Who I am.
#[utoipa::path(get, path = "/v1/me", tag = "identity", responses((status = 200, body = UserView)))]
async fn me(ctx: Ctx) -> Result<Response, Problem> {
    let id = ctx.caller.user_id().ok_or(Denied::Unauthenticated)?;
    ctx.authorize(&Question::new("me.read", Resource::new("User", id)))?;
    let user = views::get(&*ctx.view, id).ok_or(Denied::Unauthenticated)?;
    let etag = format!("\"{}\"", user.version);
    Ok(([(header::ETAG, etag)], Json(views::view(&*ctx.view, id, &user))).into_response())
}

/// Changes my name or e-mail address.
#[utoipa::path(patch, path = "/v1/me", tag = "identity", request_body = MePatch, responses((status = 200, body = UserView)))]
async fn change_me(State(people): State<People>, command: Command<MePatch>) -> Result<Response, Problem> {
    let id = command.caller.user_id().ok_or(Denied::Unauthenticated)?;
    let profile = Profile {
        name: command.body.name.as_ref().map(|to| to.as_deref().map(|to| name("/name", to)).transpose()).transpose()?,
        email: command.body.email.as_ref().map(|to| to.as_deref().map(email).transpose()).transpose()?,
    };
    let expected = command.if_match();
    command
        .run_versioned("me.edit", StatusCode::OK, move |tx, _| {
            let user = change_profile(tx, &people.keyring, id, profile, expected)?;
            Ok((views::view(tx, id, &user), user.version))
        })
        .await
}

fn email(text: &str) -> Result<Email, Problem> {
    text.parse().map_err(|error: super::NotAContact| Problem::invalid("/email", "bad_email", error.to_string()))
}

/// Sets somebody's roles and memberships. Decisions see them at once, the claims of tokens at the next refresh.
#[utoipa::path(put, path = "/v1/users/{user_id}/roles", tag = "identity", params(("user_id" = String, Path)), request_body = RolesBody, responses((status = 200, body = UserView)))]
async fn change_roles(Path(id): Path<UserId>, command: Command<RolesBody>) -> Result<Response, Problem> {
    let expected = command.if_match();
    command
        .run_versioned("users.roles", StatusCode::OK, move |tx, body| {
            let merchants = body.merchant_ids.map(|ids| ids.into_iter().map(Id::as_u128).collect());
            let cities = body.city_ids.map(|ids| ids.into_iter().map(Id::as_u128).collect());
            let user = set_roles(tx, id, Roles { roles: body.roles, merchants, cities }, expected)?;
            Ok((views::view(tx, id, &user), user.version))
        })
        .await
}
