//! Ports and rates.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;

use super::{PortText, PortsText, RateText, Reader};
use crate::mandate::{AddressRate, PrefixRate, RATE_MAX, Rate};
use crate::ports::{PortSet, Ports, SpeakGrant};

impl Reader<'_> {
    pub(super) fn ports(&mut self, text: &Spanned<PortsText>) -> Ports {
        let (tcp, udp) = (self.port_set(&text.get_ref().tcp), self.port_set(&text.get_ref().udp));
        if tcp.is_empty() && udp.is_empty() && !text.get_ref().icmp_echo {
            self.report.add(
                text.span(),
                "no port is granted",
                "name ports, such as tcp = [22, 80, \"8000-8100\"]",
            );
        }
        let mut speak = Vec::new();
        for grant in &text.get_ref().speak {
            let reason = self.text(&grant.reason, "the reason");
            let Some(port) = self.port(*grant.port.get_ref(), grant.port.span()) else { continue };
            if !tcp.contains(port) && !udp.contains(port) {
                self.report.add(
                    grant.port.span(),
                    format!("speaking at port {port} is granted, but the port is not"),
                    "add the port to tcp or udp, or remove this grant",
                );
            }
            speak.push(SpeakGrant { port, reason });
        }
        Ports::new(tcp, udp, text.get_ref().icmp_echo, speak)
    }

    pub(super) fn port_set(&mut self, texts: &[Spanned<PortText>]) -> PortSet {
        let mut set = PortSet::new();
        for text in texts {
            let range = match text.get_ref() {
                PortText::One(port) => self.port(*port, text.span()).map(|port| port..=port),
                PortText::Range(range) => self.port_range(range, text.span()),
            };
            for port in range.into_iter().flatten() {
                if set.contains(port) {
                    self.report.add(text.span(), format!("port {port} is granted twice"), "keep one of them");
                    break;
                }
                set.insert(port);
            }
        }
        set
    }

    pub(super) fn port_range(&mut self, text: &str, span: Range<usize>) -> Option<RangeInclusive<u16>> {
        let ends = text.split_once('-').and_then(|(first, last)| {
            Some((first.trim().parse::<i64>().ok()?, last.trim().parse::<i64>().ok()?))
        });
        match ends {
            Some((first, last)) if first <= last => {
                Some(self.port(first, span.clone())?..=self.port(last, span)?)
            }
            _ => {
                self.report.add(
                    span,
                    format!("`{text}` is not a range of ports"),
                    "write the lower port, a hyphen and the higher port, such as \"8000-8100\"",
                );
                None
            }
        }
    }

    pub(super) fn port(&mut self, port: i64, span: Range<usize>) -> Option<u16> {
        match u16::try_from(port) {
            Ok(port) if port > 0 => Some(port),
            _ => {
                self.report.add(span, format!("{port} is not a port"), "ports are 1 to 65535");
                None
            }
        }
    }

    pub(super) fn rate(&mut self, text: &RateText) -> Rate {
        let (prefix, address) = (&text.per_prefix, &text.per_address);
        let length = |read: &mut Self, text, most, what| {
            u8::try_from(read.number(text, 1, most, what)).expect("at most 128")
        };
        Rate {
            whole_pps: self.number(&text.whole_pps, 1, RATE_MAX, "whole_pps"),
            whole_burst: self.number(&text.whole_burst, 1, RATE_MAX, "whole_burst"),
            per_prefix: PrefixRate {
                v4_len: length(self, &prefix.v4_len, 32, "v4_len"),
                v6_len: length(self, &prefix.v6_len, 128, "v6_len"),
                pps: self.number(&prefix.pps, 1, RATE_MAX, "per_prefix.pps"),
                burst: self.number(&prefix.burst, 1, RATE_MAX, "per_prefix.burst"),
            },
            per_address: AddressRate {
                per_minute: self.number(&address.per_minute, 1, RATE_MAX, "per_address.per_minute"),
                burst: self.number(&address.burst, 1, RATE_MAX, "per_address.burst"),
            },
        }
    }
}
