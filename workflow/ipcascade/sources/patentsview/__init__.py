"""PatentsView's bulk tables: patents granted by the USPTO since 1976."""
