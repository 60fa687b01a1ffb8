//! The city: where it is and by which rules, who sells what, how it is found, who brings it.
//!
//! Reading order: [`place`], [`field`], [`patch`] and [`answer`] (words that all of them use), [`cities`], [`zones`], [`catalog`] (merchants and their items),
//! [`search`] (the index follows the catalog's events), [`media`] (pictures), then [`couriers`], [`travel`] (how long it takes), [`dispatch`], [`tracking`], [`eta`],
//! [`history`] (how long it is remembered).
//!
//! Nothing here knows orders: dispatch knows jobs, and who must follow its events says so in the composition root.

pub mod answer;
pub mod catalog;
pub mod cities;
pub mod couriers;
pub mod dispatch;
pub mod eta;
pub mod field;
pub mod history;
pub mod media;
pub mod patch;
pub mod place;
pub mod search;
pub mod shifts;
pub mod tracking;
pub mod travel;
pub mod zones;
