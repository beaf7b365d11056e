"""The speed layer's serving side: a pump from `<s>.valid` into ClickHouse."""
