//! Orders from decimals: an instrument's definition says how prices and quantities are written, and what it takes.

use rust_decimal::Decimal;
use wire::order_entry::{NewOrderSingle, OrderCancelReplaceRequest, SecurityDefinition};
use wire::{AccountId, Block, ClientOrderId, ExecInst, OnDisconnect, OrderType, Price, Quantity, Side, TimeInForce};

use crate::decimal::{self, DecimalError};

/// Why an order was not made. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The wire cannot say the number.
    #[error("{field}: {source}")]
    Number {
        /// Which.
        field: &'static str,
        /// Why not.
        source: DecimalError,
    },
    /// It is no whole number of steps.
    #[error("{field}: {number} is no multiple of {step}")]
    OffStep {
        /// Which.
        field: &'static str,
        /// What it is.
        number: Decimal,
        /// The instrument's tick or lot.
        step: Decimal,
    },
    /// It is zero or less.
    #[error("{field}: {number} is not above zero")]
    NotPositive {
        /// Which.
        field: &'static str,
        /// What it is.
        number: Decimal,
    },
    /// It is outside the instrument's bounds.
    #[error("{field}: {number} is outside the instrument's bounds, {bound}")]
    OutOfBounds {
        /// Which.
        field: &'static str,
        /// What it is.
        number: Decimal,
        /// The bound that it does not keep.
        bound: Decimal,
    },
}

/// An instrument as its orders are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instrument {
    definition: SecurityDefinition,
}

impl Instrument {
    /// The instrument of a definition. A venue sends all of them behind the opening, and again when they change.
    pub fn new(definition: SecurityDefinition) -> Self {
        Self { definition }
    }

    /// What the venue said.
    pub fn definition(&self) -> &SecurityDefinition {
        &self.definition
    }

    /// Its name, if it has one that can be shown.
    pub fn symbol(&self) -> Option<&str> {
        self.definition.symbol.as_str()
    }

    /// An order with a limit, good till cancelled. What else it may say is set in the message.
    ///
    /// # Errors
    ///
    /// Any [`OrderError`].
    pub fn limit(
        &self,
        account: AccountId,
        name: ClientOrderId,
        side: Side,
        quantity: Decimal,
        price: Decimal,
    ) -> Result<NewOrderSingle, OrderError> {
        Ok(NewOrderSingle {
            price: Some(self.price("price", price)?),
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            ..self.order(account, name, side, quantity)?
        })
    }

    /// The same, which is rejected where it would trade at once.
    ///
    /// # Errors
    ///
    /// Any [`OrderError`].
    pub fn post_only(
        &self,
        account: AccountId,
        name: ClientOrderId,
        side: Side,
        quantity: Decimal,
        price: Decimal,
    ) -> Result<NewOrderSingle, OrderError> {
        let instructions = ExecInst::POST_ONLY;
        Ok(NewOrderSingle { instructions, ..self.limit(account, name, side, quantity, price)? })
    }

    /// An order at the best prices; what is not filled at once is cancelled.
    ///
    /// # Errors
    ///
    /// Any [`OrderError`].
    pub fn market(
        &self,
        account: AccountId,
        name: ClientOrderId,
        side: Side,
        quantity: Decimal,
    ) -> Result<NewOrderSingle, OrderError> {
        Ok(NewOrderSingle {
            order_type: OrderType::Market,
            time_in_force: TimeInForce::ImmediateOrCancel,
            ..self.order(account, name, side, quantity)?
        })
    }

    /// Another price or quantity for an order, which keeps its name. The quantity counts what has traded.
    ///
    /// # Errors
    ///
    /// Any [`OrderError`].
    pub fn amend(
        &self,
        account: AccountId,
        name: ClientOrderId,
        quantity: Option<Decimal>,
        price: Option<Decimal>,
    ) -> Result<OrderCancelReplaceRequest, OrderError> {
        Ok(OrderCancelReplaceRequest {
            account,
            original_client_order_id: Some(name),
            price: price.map(|price| self.price("price", price)).transpose()?,
            order_quantity: quantity.map(|quantity| self.quantity("quantity", quantity)).transpose()?,
            ..OrderCancelReplaceRequest::BLANK
        })
    }

    /// A price as the wire has it; `field` is for the error.
    ///
    /// # Errors
    ///
    /// Any [`OrderError`].
    pub fn price(&self, field: &'static str, price: Decimal) -> Result<Price, OrderError> {
        let SecurityDefinition { price_exponent, tick, maximum_price, .. } = self.definition;
        let mantissa = decimal::mantissa(price, price_exponent);
        let mantissa = mantissa.map_err(|source| OrderError::Number { field, source })?;
        let step = self.price_decimal(tick);
        check(field, price, step, mantissa, tick.0)?;
        match maximum_price {
            Some(bound) if mantissa > bound.0 => Err(out_of(field, price, self.price_decimal(bound))),
            _ => Ok(Price(mantissa)),
        }
    }

    /// A quantity as the wire has it; `field` is for the error.
    ///
    /// # Errors
    ///
    /// Any [`OrderError`].
    pub fn quantity(&self, field: &'static str, quantity: Decimal) -> Result<Quantity, OrderError> {
        let SecurityDefinition { quantity_exponent, lot, minimum_quantity, maximum_quantity, .. } = self.definition;
        let mantissa = decimal::mantissa(quantity, quantity_exponent);
        let mantissa = mantissa.map_err(|source| OrderError::Number { field, source })?;
        check(field, quantity, self.quantity_decimal(lot), mantissa, lot.0)?;
        let below = minimum_quantity.filter(|bound| mantissa < bound.0);
        match below.or(maximum_quantity.filter(|bound| mantissa > bound.0)) {
            Some(bound) => Err(out_of(field, quantity, self.quantity_decimal(bound))),
            None => Ok(Quantity(mantissa)),
        }
    }

    /// A price of the wire in decimals; zero beyond 28 digits, which no instrument has.
    pub fn price_decimal(&self, price: Price) -> Decimal {
        decimal::number(price.0, self.definition.price_exponent).unwrap_or_default()
    }

    /// A quantity of the wire in decimals; zero beyond 28 digits, which no instrument has.
    pub fn quantity_decimal(&self, quantity: Quantity) -> Decimal {
        decimal::number(quantity.0, self.definition.quantity_exponent).unwrap_or_default()
    }

    fn order(
        &self,
        account: AccountId,
        name: ClientOrderId,
        side: Side,
        quantity: Decimal,
    ) -> Result<NewOrderSingle, OrderError> {
        Ok(NewOrderSingle {
            account,
            security_id: self.definition.security_id,
            client_order_id: Some(name),
            order_quantity: Some(self.quantity("quantity", quantity)?),
            side,
            on_disconnect: OnDisconnect::AsSession,
            ..NewOrderSingle::BLANK
        })
    }
}

fn check(field: &'static str, number: Decimal, step: Decimal, mantissa: i64, steps: i64) -> Result<(), OrderError> {
    if mantissa <= 0 {
        return Err(OrderError::NotPositive { field, number });
    }
    if steps > 0 && mantissa % steps != 0 {
        return Err(OrderError::OffStep { field, number, step });
    }
    Ok(())
}

fn out_of(field: &'static str, number: Decimal, bound: Decimal) -> OrderError {
    OrderError::OutOfBounds { field, number, bound }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Exponent;

    const ACCOUNT: AccountId = AccountId(2);
    const NAME: ClientOrderId = ClientOrderId(7);

    /// Half a cent of price, a thousandth of quantity, from 0.01 to 100 and up to 1,000,000.
    fn instrument() -> Instrument {
        Instrument::new(SecurityDefinition {
            tick: Price(5),
            lot: Quantity(10),
            minimum_quantity: Some(Quantity(100)),
            maximum_quantity: Some(Quantity(1_000_000)),
            maximum_price: Some(Price(1_000_000_000)),
            price_exponent: Exponent(-3),
            quantity_exponent: Exponent(-4),
            ..SecurityDefinition::BLANK
        })
    }

    fn parsed(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    #[test]
    fn decimals_become_an_order() {
        let order = instrument().limit(ACCOUNT, NAME, Side::Buy, parsed("1.5"), parsed("64000.505")).unwrap();
        assert_eq!((order.order_quantity, order.price), (Some(Quantity(15_000)), Some(Price(64_000_505))));
        assert_eq!((order.order_type, order.time_in_force), (OrderType::Limit, TimeInForce::GoodTillCancel));
        let amend = instrument().amend(ACCOUNT, NAME, None, Some(parsed("0.1"))).unwrap();
        assert_eq!((amend.order_quantity, amend.price), (None, Some(Price(100))));
        assert_eq!(instrument().price_decimal(Price(64_000_505)).to_string(), "64000.505");
    }

    #[test]
    fn what_the_instrument_does_not_take_is_an_error_that_names_the_field() {
        for (quantity, price, said) in [
            ("1", "0.001", "price: 0.001 is no multiple of 0.005"),
            ("1", "0.0001", "price: 0.0001 is finer than 0.001"),
            ("1", "0", "price: 0 is not above zero"),
            ("1", "1000000.005", "price: 1000000.005 is outside the instrument's bounds, 1000000.000"),
            ("0.0105", "1", "quantity: 0.0105 is no multiple of 0.0010"),
            ("-1", "1", "quantity: -1 is not above zero"),
            ("0.009", "1", "quantity: 0.009 is outside the instrument's bounds, 0.0100"),
            ("101", "1", "quantity: 101 is outside the instrument's bounds, 100.0000"),
        ] {
            let made = instrument().post_only(ACCOUNT, NAME, Side::Sell, parsed(quantity), parsed(price));
            assert_eq!(made.unwrap_err().to_string(), said);
        }
    }
}
