//! Families of numbers with labels, written so that every value of a label stays inside its quotes: the library
//! writes values as they come.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::frontend::traffic::{BUCKETS, Times};

/// Labels of one number, and the number.
pub struct Sample<N> {
    labels: Vec<(&'static str, String)>,
    value: N,
}

pub struct Families<'a>(DescriptorEncoder<'a>);

/// Its name and what it says; the unit is put after the name, and `_total` after a counter's.
#[derive(Clone, Copy)]
pub struct Name {
    name: &'static str,
    help: &'static str,
    unit: Option<&'static Unit>,
}

// === impl Sample ===

impl<N> Sample<N> {
    pub fn new(value: N) -> Self {
        Self {
            labels: Vec::new(),
            value,
        }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.labels.push((name, escaped(value)));
        self
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

// === impl Name ===

impl Name {
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            unit: None,
        }
    }

    pub const fn seconds(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            unit: Some(&Unit::Seconds),
        }
    }

    pub const fn bytes(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            unit: Some(&Unit::Bytes),
        }
    }
}

// === impl Families ===

impl<'a> Families<'a> {
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    pub fn counter(&mut self, name: Name, samples: impl IntoIterator<Item = Sample<u64>>) -> fmt::Result {
        self.write(name, MetricType::Counter, samples, |mut encoder, value| {
            encoder.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    /// Of seconds, which have a fraction.
    pub fn counter_f64(&mut self, name: Name, samples: impl IntoIterator<Item = Sample<f64>>) -> fmt::Result {
        self.write(name, MetricType::Counter, samples, |mut encoder, value| {
            encoder.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    pub fn gauge(&mut self, name: Name, samples: impl IntoIterator<Item = Sample<f64>>) -> fmt::Result {
        self.write(name, MetricType::Gauge, samples, |mut encoder, value| {
            encoder.encode_gauge(&value)
        })
    }

    pub fn histogram(&mut self, name: Name, times: &Times) -> fmt::Result {
        // What has no upper end has one in the format.
        let end = |bucket| Times::end(bucket).unwrap_or(f64::MAX);
        let buckets: Vec<_> = (0..BUCKETS)
            .map(|bucket| (end(bucket), times.counts[bucket]))
            .collect();
        let count = times.counts.iter().sum();
        self.write(
            name,
            MetricType::Histogram,
            [Sample::new(())],
            |mut encoder, ()| {
                encoder.encode_histogram::<NoLabelSet>(times.sum.as_secs_f64(), count, &buckets, None)
            },
        )
    }

    /// A family without numbers is left out.
    fn write<N: Copy>(
        &mut self,
        name: Name,
        kind: MetricType,
        samples: impl IntoIterator<Item = Sample<N>>,
        write: impl Fn(MetricEncoder<'_>, N) -> fmt::Result,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        // The library ends the sentence.
        let mut encoder = self.0.encode_descriptor(name.name, name.help, name.unit, kind)?;
        for sample in samples {
            if sample.labels.is_empty() {
                write(encoder.encode_family(&NO_LABELS)?, sample.value)?;
            } else {
                write(encoder.encode_family(&sample.labels)?, sample.value)?;
            }
        }
        Ok(())
    }
}

const NO_LABELS: [(&str, &str); 0] = [];

/// One or nothing, as a gauge shows it.
pub fn truth(truth: bool) -> f64 {
    f64::from(u8::from(truth))
}

/// Large numbers lose their last digits, which no gauge is read to.
#[allow(clippy::cast_precision_loss)]
pub fn number(number: impl TryInto<u64>) -> f64 {
    number.try_into().map_or(f64::MAX, |number| number as f64)
}
