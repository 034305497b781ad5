from sentence_transformers import SentenceTransformer

SentenceTransformer('x')
