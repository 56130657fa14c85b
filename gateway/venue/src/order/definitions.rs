//! The instruments that the venue has told of: their names, and where their decimals stand.

use wire::order_entry::SecurityDefinition;
use wire::{Exponent, SecurityId};

/// What instruments are called, and how their mantissas are read.
#[derive(Debug, Default)]
pub(crate) struct Definitions(Vec<SecurityDefinition>);

impl From<Vec<SecurityDefinition>> for Definitions {
    fn from(definitions: Vec<SecurityDefinition>) -> Self {
        Self(definitions)
    }
}

impl Definitions {
    /// The venue tells of another.
    pub(crate) fn push(&mut self, definition: SecurityDefinition) {
        self.0.push(definition);
    }

    /// Of prices and of quantities. Numbers of an instrument that is not known are shown as mantissas.
    pub(crate) fn exponents(&self, instrument: SecurityId) -> (Exponent, Exponent) {
        self.of(instrument)
            .map_or((Exponent(0), Exponent(0)), |definition| (definition.price_exponent, definition.quantity_exponent))
    }

    /// Its name, or else its number.
    pub(crate) fn name(&self, instrument: SecurityId) -> String {
        let symbol = self.of(instrument).and_then(|definition| definition.symbol.as_str());
        symbol.map_or_else(|| instrument.to_string(), str::to_owned)
    }

    fn of(&self, instrument: SecurityId) -> Option<&SecurityDefinition> {
        self.0.iter().find(|definition| definition.security_id == instrument)
    }
}
