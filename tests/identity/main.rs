//! Identity through the public HTTP interface: signing up and in, tokens, roles, and what is kept of people.

mod codes;
mod house;
mod passwords;
mod profile;
mod roles;
mod tokens;
