//! What the venue has told of: the names of assets and instruments, and where their decimals stand.

use client::{Asset, Assets};
use wire::order_entry::{OrderEntryMessage, SecurityDefinition};
use wire::{Exponent, SecurityId};

/// What assets and instruments are called, and how their mantissas are read.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    assets: Assets,
    instruments: Vec<SecurityDefinition>,
}

impl Definitions {
    /// Keeps what a message of the venue defines, if it does.
    pub(crate) fn take(&mut self, message: &OrderEntryMessage) {
        match message {
            OrderEntryMessage::SecurityDefinition(definition) => {
                // It is told again when its limits change.
                self.instruments.retain(|known| known.security_id != definition.security_id);
                self.instruments.push(*definition);
            }
            other => drop(self.assets.take(other)),
        }
    }

    /// The assets that the venue has told of.
    pub(crate) fn assets(&self) -> &Assets {
        &self.assets
    }

    /// The instruments that the venue has told of.
    pub(crate) fn instruments(&self) -> &[SecurityDefinition] {
        &self.instruments
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

    /// What an instrument is paid with, if that was told of.
    pub(crate) fn quote(&self, instrument: SecurityId) -> Option<&Asset> {
        self.of(instrument).and_then(|definition| self.assets.get(definition.quote_asset?))
    }

    fn of(&self, instrument: SecurityId) -> Option<&SecurityDefinition> {
        self.instruments.iter().find(|definition| definition.security_id == instrument)
    }
}
