//! How records lie in memory and on disk: numbers as LEB128, texts and bytes behind their length.
//!
//! A record is encoded once, when it is committed, and decoded when somebody reads it. In between
//! it is one piece of memory, however many headers it has, and what is written to disk is a copy of
//! it.

use std::borrow::Cow;

use bytes::Bytes;
use streams::{
    ConsumedRecord, Headers, Offset, Partition, ProducedRecord, Timestamp, TopicPartition,
};

const TIMESTAMP_BYTES: usize = size_of::<i64>();

/// Bytes that are not what this module wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) String);

/// A record without its place.
pub(crate) fn encode_record(record: &ProducedRecord) -> Bytes {
    let mut into = Vec::with_capacity(record.size_bytes());
    into.extend_from_slice(&record.timestamp.as_millis().to_le_bytes());
    write_optional(&mut into, record.key.as_ref());
    write_optional(&mut into, record.value.as_ref());
    write_number(&mut into, record.headers.iter().len() as u64);
    for (name, value) in record.headers.iter() {
        write_bytes(&mut into, name.as_bytes());
        write_bytes(&mut into, value);
    }
    Bytes::from(into)
}

/// The record of these bytes, of which its parts are slices.
pub(crate) fn decode_record(
    record: &Bytes,
    source: TopicPartition,
    offset: Offset,
) -> Result<ConsumedRecord, Malformed> {
    let mut from = Reader(record);
    let timestamp = Timestamp::from_millis(i64::from_le_bytes(from.array()?));
    let key = from.optional()?.map(|key| record.slice_ref(key));
    let value = from.optional()?.map(|value| record.slice_ref(value));
    let count = from.count()?;
    let mut headers = Headers::with_capacity(count);
    for _ in 0..count {
        let name = header_name(from.bytes()?)?;
        headers.add(name, record.slice_ref(from.bytes()?));
    }
    from.finished()?;
    Ok(ConsumedRecord { source, offset, timestamp, key, value, headers })
}

/// The key of the record of these bytes.
pub(crate) fn record_key(record: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let mut from = Reader(record);
    from.array::<TIMESTAMP_BYTES>()?;
    from.optional()
}

/// A header's name; the usual ones take no memory.
fn header_name(name: &[u8]) -> Result<Cow<'static, str>, Malformed> {
    const USUAL: [&str; 7] = [
        "ce_id",
        "ce_source",
        "ce_specversion",
        "ce_time",
        "ce_type",
        "content-type",
        "traceparent",
    ];
    // Their lengths tell them apart, nearly; a binary search compares more bytes.
    if let Some(usual) = USUAL.into_iter().find(|usual| usual.as_bytes() == name) {
        return Ok(Cow::Borrowed(usual));
    }
    text(name).map(|name| Cow::Owned(name.to_owned()))
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|error| Malformed(error.to_string()))
}

pub(crate) fn write_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

pub(crate) fn write_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    write_number(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

/// 0 for nothing, else the bytes behind their length and one.
pub(crate) fn write_optional(into: &mut Vec<u8>, bytes: Option<&Bytes>) {
    match bytes {
        None => into.push(0),
        Some(bytes) => {
            write_number(into, bytes.len() as u64 + 1);
            into.extend_from_slice(bytes);
        }
    }
}

/// Reads what the functions above wrote.
pub(crate) struct Reader<'bytes>(pub(crate) &'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn finished(&self) -> Result<(), Malformed> {
        if self.is_finished() {
            return Ok(());
        }
        Err(Malformed(format!("{} bytes too many", self.0.len())))
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'bytes [u8], Malformed> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| Malformed(format!("{count} bytes wanted, {} there", self.0.len())))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Malformed> {
        let mut array = [0; SIZE];
        array.copy_from_slice(self.take(SIZE)?);
        Ok(array)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed("a number without end".to_owned()))
    }

    /// A number of things that each take at least one byte, so that it can be trusted with memory.
    pub(crate) fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.number()?;
        if count > self.0.len() as u64 {
            return Err(Malformed(format!("{count} things in {} bytes", self.0.len())));
        }
        Ok(count as usize)
    }

    pub(crate) fn partition(&mut self) -> Result<Partition, Malformed> {
        let number = self.number()?;
        let partition = u32::try_from(number);
        partition.map(Partition).map_err(|_| Malformed(format!("{number} is no partition")))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'bytes [u8], Malformed> {
        let length = self.count()?;
        self.take(length)
    }

    pub(crate) fn optional(&mut self) -> Result<Option<&'bytes [u8]>, Malformed> {
        match self.number()?.checked_sub(1) {
            None => Ok(None),
            Some(length) => self.take(usize::try_from(length).unwrap_or(usize::MAX)).map(Some),
        }
    }

    pub(crate) fn text(&mut self) -> Result<&'bytes str, Malformed> {
        self.bytes().and_then(text)
    }

    pub(crate) fn many<Item>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<Item, Malformed>,
    ) -> Result<Vec<Item>, Malformed> {
        let count = self.count()?;
        // An item takes more memory than bytes here: a wrong count must not ask for all of it.
        let mut items = Vec::with_capacity(count.min(1_024));
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }
}
