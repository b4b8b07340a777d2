export { createTokenCounter, type TokenCounter, type TokenCounterOptions } from './token-counter.js';
