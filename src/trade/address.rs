//! Where exactly, in words. Personal: stored only as JSON sealed with the customer's key.

use serde::{Deserialize, Serialize};
use storage::Read;
use utoipa::ToSchema;

use crate::city::field::{self, Invalid};
use crate::engine::{Tx, UserId};
use crate::people::keyring::{self, Sealed};

/// An address as people say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landmark: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Whom to ask for at the door, if it is not the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<AddressContact>,
}

/// Somebody at the door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressContact {
    pub name: String,
    pub phone: String,
}

impl Address {
    /// The same, tidied.
    ///
    /// # Errors
    /// [`Invalid`], with a pointer below `/address`.
    pub fn checked(self) -> Result<Self, Invalid> {
        let optional =
            |pointer: &str, text: Option<String>, chars_max: usize| text.map(|text| field::prose(pointer, &text, chars_max)).transpose();
        let contact = self.contact.map(|contact| {
            let name = field::line("/address/contact/name", &contact.name, 100)?;
            let phone = field::line("/address/contact/phone", &contact.phone, 30)?;
            Ok::<_, Invalid>(AddressContact { name, phone })
        });
        Ok(Self {
            text: field::prose("/address/text", &self.text, 500)?,
            unit: optional("/address/unit", self.unit, 100)?,
            landmark: optional("/address/landmark", self.landmark, 300)?,
            notes: optional("/address/notes", self.notes, 1000)?,
            contact: contact.transpose()?,
        })
    }

    /// Sealed for storage.
    #[must_use]
    pub fn seal(&self, tx: &mut Tx<'_, '_>, customer: UserId) -> Sealed {
        keyring::seal(tx, customer, crate::engine::json_text(self).as_bytes())
    }

    /// Opened again; `None` after the customer's erasure.
    pub fn open(read: &(impl Read + ?Sized), customer: UserId, sealed: &Sealed) -> Option<Self> {
        serde_json::from_slice(&keyring::open(read, customer, sealed)?).ok()
    }
}
