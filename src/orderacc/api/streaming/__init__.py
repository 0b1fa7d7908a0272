"""Detection for other clients: sessions that send pictures and get boxes, on the one detector there is."""
