//! Contacts and sensors.

use std::net::IpAddr;

use ed25519_dalek::VerifyingKey;
use kenshin_observation::SensorId;
use toml::Spanned;

use super::{ContactsText, Reader, SensorText};
use crate::mandate::{Contacts, Rate, Sensor};

impl Reader<'_> {
    pub(super) fn contacts(&mut self, text: &ContactsText) -> Contacts {
        let email = self.line(&text.email, "the mail address");
        let parts = email.split_once('@').filter(|(local, domain)| !local.is_empty() && domain.contains('.'));
        if parts.is_none() || email.contains(char::is_whitespace) {
            self.report.add(
                text.email.span(),
                format!("`{email}` is not a mail address"),
                "write one that is read: those who are measured will use it",
            );
        }
        let web = text.web.as_ref().map(|web| {
            if !web.get_ref().starts_with("https://") && !web.get_ref().starts_with("http://") {
                self.report.add(
                    web.span(),
                    format!("`{}` is not a web address", web.get_ref()),
                    "begin with https://",
                );
            }
            self.line(web, "the web address")
        });
        Contacts {
            name: self.line(&text.name, "the contact's name"),
            email,
            web,
            phone: text.phone.as_ref().map(|phone| self.line(phone, "the telephone number")),
        }
    }

    pub(super) fn sensors(&mut self, texts: &[SensorText], rate: &Rate) -> Vec<Sensor> {
        let mut sensors: Vec<Sensor> = Vec::new();
        let mut shares = 0;
        for text in texts {
            let sensor = self.sensor(text, rate);
            shares += u32::from(sensor.share_percent);
            if shares > 100 && shares - u32::from(sensor.share_percent) <= 100 {
                self.report.add(
                    text.share_percent.span(),
                    format!("with this sensor the shares reach {shares} %, above the whole"),
                    "lower share_percent of some sensors until they sum to at most 100",
                );
            }
            if let Some(twin) = sensors.iter().find(|other| other.id == sensor.id) {
                self.report.add(
                    text.id.span(),
                    format!("`{}` and `{}` have the same id", twin.name, sensor.name),
                    "give every sensor its own id",
                );
            }
            if let Some(twin) = sensors.iter().find(|other| other.public_key == sensor.public_key) {
                self.report.add(
                    text.public_key.span(),
                    format!("`{}` and `{}` have the same key", twin.name, sensor.name),
                    "give every sensor its own key",
                );
            }
            sensors.push(sensor);
        }
        if sensors.is_empty() {
            self.report.add(
                0..0,
                "no sensor is named",
                "add [[sensor]] with the id and key that `kenshin sensor` prints on its first start",
            );
        }
        sensors
    }

    pub(super) fn sensor(&mut self, text: &SensorText, rate: &Rate) -> Sensor {
        let share = self.number(&text.share_percent, 1, 100, "share_percent");
        for (burst, what) in [
            (rate.whole_burst, "whole_burst"),
            (rate.per_prefix.burst, "per_prefix.burst"),
            (rate.per_address.burst, "per_address.burst"),
        ] {
            if u64::from(burst) * u64::from(share) < 100 && i64::from(share) == *text.share_percent.get_ref()
            {
                self.report.add(
                    text.share_percent.span(),
                    format!(
                        "{share} % of {what} = {burst} is less than one probe: the sensor could never send"
                    ),
                    format!("raise {what} to at least {}, or the share", 100u32.div_ceil(share)),
                );
            }
        }
        Sensor {
            id: self.sensor_id(&text.id),
            name: self.line(&text.name, "the sensor's name"),
            public_key: self.public_key(&text.public_key),
            source_addresses: self.source_addresses(&text.source_addresses),
            share_percent: u8::try_from(share).expect("at most 100"),
        }
    }

    pub(super) fn sensor_id(&mut self, text: &Spanned<String>) -> SensorId {
        text.get_ref().parse().unwrap_or_else(|_| {
            self.report.add(
                text.span(),
                format!("`{}` is not a sensor id", text.get_ref()),
                "copy the 26 characters that `kenshin sensor` prints",
            );
            SensorId::from_bits(0)
        })
    }

    pub(super) fn public_key(&mut self, text: &Spanned<String>) -> VerifyingKey {
        let bytes: Option<[u8; 32]> =
            hex::decode(text.get_ref()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .filter(|key| !key.is_weak())
            .unwrap_or_else(|| {
                self.report.add(
                    text.span(),
                    "this is not an Ed25519 public key",
                    "copy the 64 hexadecimal digits that `kenshin sensor` prints",
                );
                VerifyingKey::default()
            })
    }

    pub(super) fn source_addresses(&mut self, texts: &Spanned<Vec<Spanned<String>>>) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for text in texts.get_ref() {
            match text.get_ref().parse::<IpAddr>() {
                Ok(addr) if !addr.is_multicast() && !addr.is_unspecified() => addresses.push(addr),
                _ => self.report.add(
                    text.span(),
                    format!("`{}` is not an address to send from", text.get_ref()),
                    "write unicast addresses one by one",
                ),
            }
        }
        if texts.get_ref().is_empty() {
            self.report.add(
                texts.span(),
                "the sensor has no address",
                "write the addresses it sends from: those who are measured look them up",
            );
        }
        addresses
    }
}
