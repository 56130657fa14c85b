//! Values as an administrator writes them: decimals, distances, times, names of codes, names of things.

use core::fmt;
use core::str::FromStr;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use engine::canonical::Code;
use engine::command::{Direction, Role};
use engine::instrument::{CollarAction, Distance, DistanceUnit, Phase, ReferenceSource};
use engine::{Nanoseconds, SelfTradePrevention, Side, Timestamp};
use gateway::rights::in_ipv6;
use gateway::transport::tls::Fingerprint;
use rust_decimal::Decimal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::signature::bytes;

/// A price, a quantity, an amount or a rate, in whole units and written as text: `"64000.50"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecimalText(pub Decimal);

/// Why a decimal is no whole number of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Off {
    Negative,
    Fraction,
    TooLarge,
}

impl DecimalText {
    /// So many of `10^−decimals`.
    pub(crate) fn in_units(self, decimals: u8) -> Result<u128, Off> {
        let value = self.0.normalize();
        let mantissa = u128::try_from(value.mantissa()).map_err(|_| Off::Negative)?;
        let (scale, decimals) = (value.scale(), u32::from(decimals));
        if scale > decimals {
            return Err(Off::Fraction);
        }
        10_u128.checked_pow(decimals - scale).and_then(|power| mantissa.checked_mul(power)).ok_or(Off::TooLarge)
    }

    /// Mantissa and digits behind the point, as short as they can be; nothing if that is negative or too long.
    pub(crate) fn parts(self) -> Option<(u64, u8)> {
        let value = self.0.normalize();
        Some((u64::try_from(value.mantissa()).ok()?, u8::try_from(value.scale()).ok()?))
    }
}

/// `mantissa × 10^−decimals` in digits, without zeros at the end.
pub(crate) fn decimal(mantissa: u128, decimals: u8) -> String {
    let digits = format!("{mantissa:0>width$}", width = usize::from(decimals) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(decimals));
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

/// As [`decimal()`], with a sign.
pub(crate) fn signed_decimal(mantissa: i128, decimals: u8) -> String {
    let sign = if mantissa < 0 { "-" } else { "" };
    format!("{sign}{}", decimal(mantissa.unsigned_abs(), decimals))
}

impl FromStr for DecimalText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Decimal::from_str_exact(text).map(Self).map_err(|_| format!("{text:?} is no decimal of at most 28 digits"))
    }
}

impl fmt::Display for DecimalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far from a price something may be: `5t` are ticks, `2.5%` or `25000ppm` parts of the price, `none` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DistanceText(pub Distance);

impl FromStr for DistanceText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts_of_percent = |percent: &str| {
            let value = percent.parse::<DecimalText>().ok()?.in_units(4).ok()?;
            u32::try_from(value).ok().map(Distance::parts_per_million)
        };
        let count = |digits: &str| digits.parse::<u32>().ok();
        let distance = if text == "none" {
            Some(Distance::UNLIMITED)
        } else if let Some(ticks) = text.strip_suffix('t') {
            count(ticks).map(Distance::ticks)
        } else if let Some(parts) = text.strip_suffix("ppm") {
            count(parts).map(Distance::parts_per_million)
        } else {
            text.strip_suffix('%').and_then(parts_of_percent)
        };
        distance.map(Self).ok_or_else(|| format!("{text:?} is no distance, such as 5t, 2.5%, 25000ppm or none"))
    }
}

impl fmt::Display for DistanceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.unit {
            DistanceUnit::Unlimited => f.write_str("none"),
            DistanceUnit::Ticks => write!(f, "{}t", self.0.value),
            DistanceUnit::PartsPerMillion => write!(f, "{}ppm", self.0.value),
        }
    }
}

/// A moment: `2026-11-25T09:00:00Z`, or with another offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeText(pub Timestamp);

impl FromStr for TimeText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let moment: jiff::Timestamp = text.parse().map_err(|error| format!("{text:?} is no time: {error}"))?;
        let since_1970 = u64::try_from(moment.as_nanosecond());
        since_1970.map(|since| Self(Timestamp(since))).map_err(|_| format!("{text:?} is out of range"))
    }
}

impl fmt::Display for TimeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(self.0.0.into()) {
            Ok(moment) => moment.fmt(f),
            Err(_) => self.0.0.fmt(f),
        }
    }
}

/// How long, in seconds, to the nanosecond: `120`, `0.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondsText(pub Nanoseconds);

impl FromStr for SecondsText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let nanoseconds = text.parse::<DecimalText>().ok().and_then(|seconds| seconds.in_units(9).ok());
        let nanoseconds = nanoseconds.and_then(|count| u64::try_from(count).ok());
        nanoseconds
            .map(|count| Self(Nanoseconds(count)))
            .ok_or_else(|| format!("{text:?} is no number of seconds with at most nine digits behind the point"))
    }
}

impl fmt::Display for SecondsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(self.0.0.into(), 9))
    }
}

/// Addresses that agree in their leading bits: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkText {
    /// IPv4 is mapped into IPv6.
    address: Ipv6Addr,
    prefix_bits: u8,
}

/// Bits of IPv6 in front of an address of IPv4.
const MAPPED_BITS: u8 = 96;

impl NetworkText {
    /// As the engine has it.
    pub(crate) fn new(address: [u8; 16], prefix_bits: u8) -> Self {
        Self { address: address.into(), prefix_bits }
    }

    /// As the engine has it: an address, IPv4 mapped into IPv6, and how many of its bits count.
    pub(crate) fn parts(self) -> ([u8; 16], u8) {
        (self.address.octets(), self.prefix_bits)
    }

    /// Whether an address is one of these.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let differing = (self.address.to_bits() ^ in_ipv6(address).to_bits()).leading_zeros();
        differing >= self.prefix_bits.into()
    }

    fn of(address: IpAddr, bits: Option<u8>) -> Result<Self, String> {
        let (whole, mapped) = if address.is_ipv4() { (32, MAPPED_BITS) } else { (128, 0) };
        let bits = bits.unwrap_or(whole);
        if bits > whole {
            return Err(format!("an address has {whole} bits, and not {bits}"));
        }
        let network = Self { address: in_ipv6(address), prefix_bits: mapped + bits };
        let behind = u128::MAX.checked_shr(network.prefix_bits.into()).unwrap_or(0);
        if network.address.to_bits() & behind != 0 {
            return Err(format!("{address} has bits behind the first {bits}"));
        }
        Ok(network)
    }
}

impl FromStr for NetworkText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let unreadable = || format!("{text:?} is no network, such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7");
        let address = address.parse().map_err(|_| unreadable())?;
        let bits = bits.map(str::parse).transpose().map_err(|_| unreadable())?;
        Self::of(address, bits).map_err(|reason| format!("{text:?}: {reason}"))
    }
}

impl fmt::Display for NetworkText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.to_ipv4_mapped().zip(self.prefix_bits.checked_sub(MAPPED_BITS)) {
            Some((address, 32)) => address.fmt(f),
            Some((address, bits)) => write!(f, "{address}/{bits}"),
            None if self.prefix_bits == 128 => self.address.fmt(f),
            None => write!(f, "{}/{}", self.address, self.prefix_bits),
        }
    }
}

/// A certificate's SHA-256 fingerprint, 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FingerprintText(pub [u8; 32]);

impl FingerprintText {
    /// Of the first certificate in a PEM file.
    pub(crate) fn of_file(file: &str) -> Result<Self, String> {
        let certificate = CertificateDer::from_pem_file(file).map_err(|error| format!("no certificate: {error}"))?;
        Ok(Self(Fingerprint::of(&certificate).0))
    }
}

impl FromStr for FingerprintText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        bytes(text).map(Self).ok_or_else(|| format!("{text:?} is not 64 hexadecimal digits"))
    }
}

impl fmt::Display for FingerprintText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One of the engine's codes by its name, in any case and with or without hyphens: `Continuous`, `cancel-only`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeText<T>(pub T);

impl<T: Code> FromStr for CodeText<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
        let found = T::ALL.iter().find(|code| plain(code.name()) == plain(text));
        found.map(|code| Self(*code)).ok_or_else(|| {
            let names: Vec<_> = T::ALL.iter().map(|code| code.name()).collect();
            format!("{text:?} is none of {}", names.join(", "))
        })
    }
}

impl<T: Code> fmt::Display for CodeText<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// A phase by its name.
pub type PhaseText = CodeText<Phase>;
/// A mode of self-trade prevention by its name.
pub type PreventionText = CodeText<SelfTradePrevention>;
/// What a trade outside the collar does, by its name.
pub type CollarActionText = CodeText<CollarAction>;
/// What moves the reference price, by its name.
pub type ReferenceSourceText = CodeText<ReferenceSource>;
/// More or less, by its name.
pub type DirectionText = CodeText<Direction>;
/// A side by its name.
pub type SideText = CodeText<Side>;
/// A role by its name.
pub type RoleText = CodeText<Role>;

/// An instrument or an asset, by its name or by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameOrNumber(pub String);

impl NameOrNumber {
    /// The number, if it is one.
    pub(crate) fn number(&self) -> Option<u32> {
        self.0.parse().ok()
    }
}

impl FromStr for NameOrNumber {
    type Err = core::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for NameOrNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text in JSON, and nothing else.
macro_rules! text_in_json {
    ($($name:ty $(, $code:ident)?;)*) => {$(
        impl$(<$code: Code>)? Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de $(, $code: Code)?> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}
text_in_json! {
    DecimalText;
    DistanceText;
    TimeText;
    SecondsText;
    CodeText<T>, T;
    NameOrNumber;
    NetworkText;
    FingerprintText;
}

/// What generators and readers of the port's description are told of such a text.
macro_rules! described {
    ($($name:ident, $description:literal, $pattern:literal, $($example:literal),+;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some($description))
                    .pattern(Some($pattern))
                    .examples([$($example),+])
                    .into()
            }
        }

        impl ToSchema for $name {}
    )*};
}
described! {
    DecimalText, "A decimal of at most 28 digits, in whole units.",
        "^-?[0-9]{1,12}(\\.[0-9]{1,12})?$", "64000.50", "1", "0.01";
    DistanceText, "A distance: ticks, per cent, millionths, or none.",
        "^([0-9]{1,9}t|[0-9]{1,9}ppm|[0-9]{1,3}(\\.[0-9]{1,4})?%|none)$", "5t", "2.5%", "25000ppm", "none";
    TimeText, "A moment, with its offset from UTC.",
        "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$",
        "2100-01-01T09:00:00Z";
    SecondsText, "Seconds, to the nanosecond.", "^[0-9]{1,9}(\\.[0-9]{1,9})?$", "120", "0.5";
    NetworkText, "A network: addresses that agree in their leading bits.",
        "^([0-9]{1,3}\\.){3}[0-9]{1,3}(/[0-9]{1,2})?$|^[0-9a-f:.]{2,45}(/[0-9]{1,3})?$",
        "10.0.0.0/8", "2001:db8::/32", "192.0.2.7";
    FingerprintText, "A certificate's SHA-256 fingerprint.",
        "^[0-9a-fA-F]{64}$", "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";
    NameOrNumber, "A name, or a number.", "^([1-9][0-9]{0,8}|[A-Z][A-Z0-9-]{0,15})$", "BTC-USD", "USD", "1";
}

impl<T: Code> PartialSchema for CodeText<T> {
    fn schema() -> RefOr<Schema> {
        let names = T::ALL.iter().map(|code| code.name());
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("In any case, and with or without hyphens."))
            .enum_values(Some(names))
            .into()
    }
}

impl<T: Code> ToSchema for CodeText<T> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed(T::NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str, decimals: u8) -> Result<u128, Off> {
        text.parse::<DecimalText>().unwrap().in_units(decimals)
    }

    #[test]
    fn a_decimal_is_counted_in_units() {
        assert_eq!(units("101.25", 2), Ok(10_125));
        assert_eq!(units("101.250", 2), Ok(10_125));
        assert_eq!(units("0", 18), Ok(0));
        assert_eq!(units("1", 18), Ok(10_u128.pow(18)));
        assert_eq!(units("0.001", 2), Err(Off::Fraction));
        assert_eq!(units("-1", 2), Err(Off::Negative));
        // 2^96 − 1 is the largest mantissa there is; a larger one is no decimal at all.
        assert_eq!(units("79228162514264337593543950335", 18), Err(Off::TooLarge));
        for text in ["", "x", "1e3", "79228162514264337593543950336", "0.12345678901234567890123456789"] {
            assert!(text.parse::<DecimalText>().is_err(), "{text}");
        }
    }

    #[test]
    fn units_are_written_as_decimals() {
        assert_eq!(decimal(10_125, 2), "101.25");
        assert_eq!(decimal(5, 2), "0.05");
        assert_eq!(decimal(500, 2), "5");
        assert_eq!(decimal(0, 2), "0");
        assert_eq!(decimal(7, 0), "7");
        assert_eq!(decimal(u128::MAX, 0), "340282366920938463463374607431768211455");
        assert_eq!(signed_decimal(-5, 2), "-0.05");
    }

    #[test]
    fn a_distance_names_what_it_is_counted_in() {
        let cases = [
            ("none", Distance::UNLIMITED, "none"),
            ("5t", Distance::ticks(5), "5t"),
            ("2.5%", Distance::parts_per_million(25_000), "25000ppm"),
            ("0.0001%", Distance::parts_per_million(1), "1ppm"),
            ("25000ppm", Distance::parts_per_million(25_000), "25000ppm"),
        ];
        for (text, distance, shown) in cases {
            let found: DistanceText = text.parse().unwrap();
            assert_eq!((found.0, found.to_string().as_str()), (distance, shown));
        }
        for text in ["", "5", "t", "%", "-5%", "0.00001%", "5.5t", "-1t", "4294967296t", "429496.7296%", "5 %"] {
            assert!(text.parse::<DistanceText>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_and_durations_are_told_to_the_nanosecond() {
        let moment: TimeText = "1970-01-02T01:00:00.000000001+01:00".parse().unwrap();
        assert_eq!(
            (moment.0, moment.to_string().as_str()),
            (Timestamp(86_400_000_000_001), "1970-01-02T00:00:00.000000001Z")
        );
        for text in
            ["", "tomorrow", "2026-11-25", "2026-11-25T09:00:00", "1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z"]
        {
            assert!(text.parse::<TimeText>().is_err(), "{text}");
        }
        let half: SecondsText = "0.5".parse().unwrap();
        assert_eq!((half.0, half.to_string().as_str()), (Nanoseconds(500_000_000), "0.5"));
        for text in ["", "-1", "0.0000000001", "18446744073.709551616", "2 min"] {
            assert!(text.parse::<SecondsText>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_is_of_either_kind_and_has_nothing_behind_its_bits() {
        let mapped = |last: [u8; 4]| [[0; 10].as_slice(), &[0xFF; 2], &last].concat();
        for (text, address, bits, shown) in [
            ("10.0.0.0/8", mapped([10, 0, 0, 0]), 104, "10.0.0.0/8"),
            ("192.0.2.7", mapped([192, 0, 2, 7]), 128, "192.0.2.7"),
            ("0.0.0.0/0", mapped([0; 4]), 96, "0.0.0.0/0"),
            ("2001:db8::/32", [[0x20, 1, 0xD, 0xB8].as_slice(), &[0; 12]].concat(), 32, "2001:db8::/32"),
            ("::1", [[0; 15].as_slice(), &[1]].concat(), 128, "::1"),
            ("::/0", vec![0; 16], 0, "::/0"),
        ] {
            let found: NetworkText = text.parse().unwrap();
            assert_eq!(found.parts(), (address.try_into().unwrap(), bits), "{text}");
            assert_eq!(found.to_string(), shown);
            let own = text.split('/').next().unwrap().parse().unwrap();
            let another: IpAddr = "203.0.113.9".parse().unwrap();
            assert!(found.contains(own), "{text}");
            assert_eq!(found.contains(another), ["0.0.0.0/0", "::/0"].contains(&text), "{text}");
        }
        for text in
            ["", "10", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "::/129", "2001:db8::1/64", "10.0.0.0/-1", "a/8"]
        {
            assert!(text.parse::<NetworkText>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_code_is_found_by_its_name_however_it_is_written() {
        for text in ["CancelOnly", "cancel-only", "cancel_only", "CANCELONLY"] {
            assert_eq!(text.parse(), Ok(CodeText(Phase::CancelOnly)));
        }
        let unknown = "open".parse::<CodeText<Phase>>().unwrap_err();
        assert!(unknown.starts_with("\"open\" is none of PreOpen, OpeningCall"), "{unknown}");
    }

    #[test]
    fn what_is_described_is_what_is_read() {
        fn examples<T: FromStr + PartialSchema>() {
            let described = serde_json::to_value(T::schema()).unwrap();
            let examples = described["examples"].as_array().unwrap();
            assert!(!examples.is_empty(), "{described}");
            for example in examples {
                assert!(example.as_str().unwrap().parse::<T>().is_ok(), "{example}");
            }
        }
        examples::<DecimalText>();
        examples::<DistanceText>();
        examples::<TimeText>();
        examples::<SecondsText>();
        examples::<NetworkText>();
        examples::<FingerprintText>();
        examples::<NameOrNumber>();
        let phases = serde_json::to_value(CodeText::<Phase>::schema()).unwrap();
        assert_eq!(phases["enum"].as_array().unwrap().len(), Phase::ALL.len());
    }
}
