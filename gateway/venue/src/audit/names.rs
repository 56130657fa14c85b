//! What numbers are called, and in which steps their prices and quantities are counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use engine::canonical::{FieldValue, Fields};
use engine::command::{AddAsset, ListInstrument};
use engine::{AssetId, Event, InstrumentId, KeyId, Sequence, Timestamp};
use journal::{AsOf, Key};
use serde_json::{Map, Value};

use crate::admin::signature::bytes;
use crate::admin::value::{NetworkText, TimeText, decimal, signed_decimal};
use crate::data_folder::KeyFile;
use crate::history_tool::search::Search;
use crate::history_tool::{ToolError, engine_at};
use crate::records::Scales;

/// The names that a data folder knows; instruments and assets are looked up when the first of them is met.
pub(super) struct Names {
    directory: PathBuf,
    until: Sequence,
    keys: BTreeMap<KeyId, String>,
    listed: Option<Listed>,
}

#[derive(Default)]
struct Listed {
    /// Nothing: there never was one.
    instruments: BTreeMap<InstrumentId, Option<ListInstrument>>,
    assets: BTreeMap<AssetId, AddAsset>,
}

impl Names {
    /// As of `until`.
    pub(super) fn new(directory: &Path, until: Sequence) -> Self {
        Self { directory: directory.to_owned(), until, keys: key_names(directory), listed: None }
    }

    /// The name of a key's file in the data folder.
    pub(super) fn key(&self, key: KeyId) -> Option<&str> {
        self.keys.get(&key).map(String::as_str)
    }

    /// A record's fields, in decimals, with a name behind each number that has one.
    pub(super) fn object(&mut self, record: &dyn Fields) -> Result<Map<String, Value>, ToolError> {
        let mut object = Map::new();
        self.scales(record)?.add(&mut object, record);
        self.add_names(readable(object))
    }

    fn add_names(&mut self, object: Map<String, Value>) -> Result<Map<String, Value>, ToolError> {
        let mut named = Map::new();
        for (field, value) in object {
            let value = match value {
                Value::Object(inner) => Value::Object(self.add_names(inner)?),
                value => value,
            };
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|&number| number > 0);
            let name = match (field.as_str(), number) {
                ("instrument", Some(id)) => self.listing(InstrumentId(id))?.map(|of| of.name.as_str().to_owned()),
                ("asset" | "base" | "quote", Some(id)) => {
                    self.asset(AssetId(id))?.map(|of| of.name.as_str().to_owned())
                }
                ("key", Some(id)) => self.key(KeyId(id)).map(str::to_owned),
                _ => None,
            };
            let name = name.map(|name| (format!("{field}_name"), name));
            named.insert(field, value);
            named.extend(name.map(|(field, name)| (field, name.into())));
        }
        Ok(named)
    }

    /// How the numbers of a record are counted: by its instrument, or its asset.
    fn scales(&mut self, record: &dyn Fields) -> Result<Scales, ToolError> {
        let (instrument, asset) = subject(record);
        if let Some(asset) = asset {
            return Ok(Scales { amount: self.asset(asset)?.map(|asset| asset.decimals), ..Scales::default() });
        }
        let Some(listing) = instrument.map(|instrument| self.listing(instrument)).transpose()?.flatten() else {
            return Ok(Scales::default());
        };
        Ok(Scales {
            tick: Some((listing.tick, listing.tick_decimals)),
            lot: Some((listing.lot, listing.lot_decimals)),
            amount: self.asset(listing.quote)?.map(|asset| asset.decimals),
        })
    }

    fn asset(&mut self, asset: AssetId) -> Result<Option<AddAsset>, ToolError> {
        Ok(self.listed()?.assets.get(&asset).copied())
    }

    /// An instrument's listing, also if it is delisted by now.
    fn listing(&mut self, instrument: InstrumentId) -> Result<Option<ListInstrument>, ToolError> {
        if let Some(listing) = self.listed()?.instruments.get(&instrument) {
            return Ok(*listing);
        }
        let mut found = None;
        let mut search = Search::for_wanted(
            &self.directory,
            Some(Key::Instrument(instrument)),
            self.until,
            Box::new(move |(_, event)| {
                Ok(matches!(event, Event::InstrumentListed(listed) if listed.command.instrument == instrument))
            }),
        )?;
        search.from(Some(Sequence(1)), 1, &mut |(_, event)| {
            if let Event::InstrumentListed(listed) = event {
                found = Some(listed.command);
            }
            Ok(())
        })?;
        self.listed()?.instruments.insert(instrument, found);
        Ok(found)
    }

    fn listed(&mut self) -> Result<&mut Listed, ToolError> {
        if self.listed.is_none() {
            let engine = engine_at(&self.directory, AsOf::Sequence(self.until))?;
            let instruments = engine.listings().map(|listing| (listing.instrument, Some(*listing))).collect();
            let assets = engine.assets().map(|asset| (asset.asset, asset)).collect();
            self.listed = Some(Listed { instruments, assets });
        }
        Ok(self.listed.get_or_insert_default())
    }
}

/// What counts small units, as an operator writes it: the name says the unit, where it is another.
fn readable(object: Map<String, Value>) -> Map<String, Value> {
    let number = |name: &str| object.get(name).and_then(Value::as_u64);
    let mut read = Map::new();
    for (name, value) in &object {
        let (name, value) = match (name.as_str(), value) {
            (_, Value::Object(inner)) => {
                (name.clone(), distance(inner).unwrap_or_else(|| readable(inner.clone()).into()))
            }
            ("tick_decimals" | "lot_decimals" | "prefix_bits", _) => continue,
            ("tick" | "lot", Value::Number(_)) => {
                let decimals = number(&format!("{name}_decimals")).and_then(|decimals| u8::try_from(decimals).ok());
                let steps = number(name).unwrap_or(0);
                (name.clone(), decimals.map_or(value.clone(), |decimals| decimal(steps.into(), decimals).into()))
            }
            ("at", Value::Number(_)) => {
                (name.clone(), TimeText(Timestamp(number(name).unwrap_or(0))).to_string().into())
            }
            ("repeat" | "random_end" | "call_duration" | "call_random_end", Value::Number(_)) => {
                (format!("{name}_seconds"), decimal(number(name).unwrap_or(0).into(), 9).into())
            }
            ("maker" | "taker", Value::Number(rate)) => {
                (format!("{name}_basis_points"), signed_decimal(rate.as_i64().unwrap_or(0).into(), 2).into())
            }
            ("address", Value::String(text)) => match (bytes(text), number("prefix_bits")) {
                (Some(address), Some(bits)) => {
                    let network = NetworkText::new(address, u8::try_from(bits).unwrap_or(u8::MAX));
                    ("network".to_owned(), network.to_string().into())
                }
                _ => (name.clone(), value.clone()),
            },
            _ => (name.clone(), value.clone()),
        };
        read.insert(name, value);
    }
    read
}

/// A distance as it is given: `5t`, `50000ppm` or `none`; nothing if this is none.
fn distance(object: &Map<String, Value>) -> Option<Value> {
    let value = object.get("value").filter(|_| object.len() == 2)?;
    match object.get("unit")?.as_str()? {
        "Ticks" => Some(format!("{value}t").into()),
        "PartsPerMillion" => Some(format!("{value}ppm").into()),
        "Unlimited" => Some("none".into()),
        _ => None,
    }
}

/// The instrument and the asset that a record is about.
fn subject(record: &dyn Fields) -> (Option<InstrumentId>, Option<AssetId>) {
    let (mut instrument, mut asset) = (None, None);
    record.fields(&mut |name, value| match (name, value) {
        ("instrument", FieldValue::Unsigned(id)) if id > 0 => instrument = u32::try_from(id).ok().map(InstrumentId),
        ("asset", FieldValue::Unsigned(id)) if id > 0 => asset = u32::try_from(id).ok().map(AssetId),
        ("command", FieldValue::Record(inner)) => (instrument, asset) = subject(inner),
        _ => {}
    });
    (instrument, asset)
}

/// A file that cannot be read names nobody.
fn key_names(directory: &Path) -> BTreeMap<KeyId, String> {
    let files = fs::read_dir(directory.join("keys")).into_iter().flatten().flatten().map(|entry| entry.path());
    let named = |file: PathBuf| {
        let name = file.file_stem()?.to_str()?.to_owned();
        let is_key = file.extension().is_some_and(|extension| extension == "json");
        let key = is_key.then(|| KeyFile::read(&file).ok()).flatten()?;
        Some((KeyId(key.key), name))
    };
    files.filter_map(named).collect()
}
