"""Fine-tuning: batches, loss, optimizer, loop, checkpoints, several processes; the model card."""
