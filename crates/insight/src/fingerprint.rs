//! Fingerprints in the XML format of Recog: patterns over what a service says.
