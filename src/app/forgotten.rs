//! At the start: who was erased after this copy of the data was made.

use std::sync::Arc;

use crate::engine::{Caller, Engine};
use crate::people::users::{USERS, User};
use crate::people::{People, erasure};

/// Empties the rows of those whose keys are erased and who could still be found by them. Before anybody is served, on a node that leads.
///
/// # Errors
/// A sentence for the operator.
pub async fn forget_again(engine: &Engine, people: &People) -> Result<(), String> {
    let slots = Arc::new(people.keyring.erased().map_err(|error| format!("people.keys: {error}"))?);
    let is_owed = |user: &User| slots.contains(&user.slot) && !user.is_forgotten();
    let mut persons = 0;
    while !slots.is_empty() && USERS.scan(&*engine.view()).any(|(_, user)| is_owed(&user)) {
        let these = slots.clone();
        let done = engine.write(&Caller::system("erasure"), "erasure.again", move |tx| erasure::again(tx, &these)).await;
        persons += done.map_err(|error| format!("the erased could not be forgotten again: {error:?}"))?.value;
    }
    if persons > 0 {
        tracing::warn!(persons, "rows were emptied again: their persons had been erased after this copy was made");
    }
    Ok(())
}
