//! Orders through their public interface: the machine and its fold as laws, every (state, command) pair as a table, the stored rows as bytes,
//! whole evenings in an engine with its books, policy and dispatch, one of them over the wire, and ways to the door.

mod arrivals;
mod corners;
mod evening;
mod handed;
mod late;
mod laws;
mod rows;
mod sample;
mod table;
mod wire;
mod world;
