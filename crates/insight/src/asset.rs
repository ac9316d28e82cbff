//! Devices through time, across address changes, by keys that identify them alone.
