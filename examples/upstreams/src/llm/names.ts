export const CHAT_MODEL = 'local-chat';
export const EMBEDDING_MODEL = 'local-embedding';
