// Worker thread entry of HashPool: hashes files and shared memory.
export {};
