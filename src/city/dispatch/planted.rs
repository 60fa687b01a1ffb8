//! Bugs of dispatch that are planted on purpose, so that its simulation can prove that it finds them. Nothing of it is in a product binary: see
//! [`storage::disk::planted`].

use storage::disk::planted::{self, Bug};

/// An offer can be taken after its deadline.
pub const ACCEPTED_LATE: Bug = Bug::Above("offers are taken after their deadline");
/// Hands hold whatever they are given.
pub const HANDS_WITHOUT_END: Bug = Bug::Above("couriers carry more than they can");
/// A silent courier keeps what they have not picked up.
pub const SILENT_KEEPS: Bug = Bug::Above("the silent keep what others could bring");
/// A silent courier is still asked.
pub const SILENT_ASKED: Bug = Bug::Above("the silent are asked");
/// A jump is believed at once.
pub const JUMPS_BELIEVED: Bug = Bug::Above("jumps are believed");
/// Nobody looks after an accepted order.
pub const FORGOTTEN: Bug = Bug::Above("orders are forgotten");

/// Every one.
pub const ALL: [Bug; 6] = [ACCEPTED_LATE, HANDS_WITHOUT_END, SILENT_KEEPS, SILENT_ASKED, JUMPS_BELIEVED, FORGOTTEN];

/// Whether `bug` is on in this thread; a constant `false` in a product binary.
#[must_use]
pub fn is(bug: Bug) -> bool {
    planted::is(bug)
}
