//! At the start: who was erased after this copy of the data was made.

use crate::engine::{Caller, Engine};
use crate::people::users::USERS;
use crate::people::{People, erasure};

/// Empties the rows of those whose keys are erased and who could still be found by them. Before anybody is served, on a node that leads.
///
/// # Errors
/// A sentence for the operator.
pub async fn forget_again(engine: &Engine, people: &People) -> Result<(), String> {
    let slots = people.keyring.erased().map_err(|error| format!("people.keys: {error}"))?;
    let view = engine.view();
    if !USERS.scan(&*view).any(|(_, user)| slots.contains(&user.slot) && !user.is_forgotten()) {
        return Ok(());
    }
    let done = engine.write(&Caller::system("erasure"), "erasure.again", move |tx| erasure::again(tx, &slots)).await;
    let done = done.map_err(|error| format!("the erased could not be forgotten again: {error:?}"))?;
    tracing::warn!(persons = done.value, "rows were emptied again: their persons had been erased after this copy was made");
    Ok(())
}
