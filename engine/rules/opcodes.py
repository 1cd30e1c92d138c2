"""Numbers of the rule program: operations, words of its tables, how operands are written."""

# A node is one row of int32 words. TO: register of the result. A to D: operands, or registers of
# conditions. STATE: row of the table of states, -1 none.
N_OP, N_TO, N_A, N_B, N_C, N_D, N_STATE, N_SPARE, NODE_WORDS = range(9)

# An operand that is a number: index << KIND_BITS | kind.
REGISTER, COLUMN, CONSTANT = 0, 1, 2
KIND_BITS, KIND_MASK = 2, 3

# Numbers of numbers, 512 doubles to a register
ADD, SUBTRACT, MULTIPLY, DIVIDE, MIN, MAX, COALESCE = range(1, 8)  # of operands A and B
NEGATE, ABS, LOG = range(8, 11)  # of operand A
SELECT = 11  # A where condition C is true, B where condition D is
LAG = 12  # operand A as it was sampled S_COUNT units of time ago
SINCE = 13  # seconds since condition C was last true

# Conditions, 8 words of 64 symbols to a register
ABOVE, AT_LEAST, EQUAL, UNEQUAL = range(16, 20)  # operand A to operand B
AND, OR = 20, 21  # of conditions C and D
MOMENT = 22  # entry A of the cycle's moments: the same for every symbol
CROSS = 23  # operand A was at most operand B and is above it; condition D (or -1) arms it again
NO_CROSS = 24  # its falsehood: C is the register of the CROSS with the same state
WITHIN, IN_ROW = 25, 26  # condition C in some, in every cycle of S_WINDOW ns
AGO, COUNT = 27, 28  # condition C: sample S_COUNT units ago; S_COUNT of the last S_WINDOW samples
BAR_AGO, BAR_COUNT = 29, 30  # the same where the samples are closes of the symbol's own bars
SEQUENCE = 31  # steps [S_STEP, S_STEP + S_STEPS); condition D (or -1) cancels
NOT_TRUE = 32  # condition C is not true, of a symbol that is seen
STORE = 33  # operand A to column B

NUMERIC = frozenset(range(1, 14))
STATEFUL = frozenset((LAG, SINCE, CROSS, WITHIN, IN_ROW, AGO, COUNT, BAR_AGO, BAR_COUNT, SEQUENCE))

# A state is one row of int64 words: where its planes and rows stand in the lists of slots, and what
# it was written with. S_UNIT: nanoseconds between two samples, 0 where bar closes are meant.
S_PLANE, S_ROW, S_ROWS, S_WINDOW, S_UNIT, S_COUNT, S_STEP, S_STEPS, STATE_WORDS = range(9)

# What must be done with the rows of a new state that are read without a plane that says which are
# written: words of samples, rings of planes, numbers.
CLEAR_NOTHING, CLEAR_WORDS, CLEAR_RING, CLEAR_NUMBERS = range(4)

# Words of `when`: T of the cycle, its whole second and minute.
W_T, W_SECOND, W_MINUTE, WHEN_WORDS = range(4)

# Words of a row of `since`, of symbols that were looked at last in the same cycle: T of that cycle
# (T - 1 of this one in a stream's first), its whole second and minute. Later ones, up to those of
# `when`, are sampled in this cycle.
L_BEFORE, L_SECOND, L_MINUTE, LAST_WORDS = range(4)

# What is the same for every symbol in a cycle, see program_nb.moments_nb.
M_SESSION, M_WEEKDAY, M_TIME = range(3)

# A plane that firing needs of a rule: its truth (X_FROM -1) or a plane of the cycle before, where
# the conditions of parts [X_PART, X_PARTS) are true, or, with X_DENY, are not.
X_RULE, X_FROM, X_TO, X_DENY, X_PART, X_PARTS, EXTRA_WORDS = range(7)

# A word of what an alert carries: a column; a node's truth, 0 where node C_OTHER (or -1) is true;
# seconds of a SINCE; number of a LAG; T of a step of a sequence, 0 none.
C_KIND, C_AT, C_OTHER, CAPTURE_WORDS = range(4)
CAPTURE_COLUMN, CAPTURE_TRUTH, CAPTURE_SINCE, CAPTURE_LAG, CAPTURE_STEP = range(5)

# Planes of a rule that firing reads and writes, -1 none: fired in this session; must be armed
# again; entered and not left since; known false in this cycle after it entered; true and in its
# universe.
R_ONCE, R_DISARMED, R_ENTERED, R_LEFT, R_SCOPED, REPEAT_WORDS = range(6)

# A column that compares symbols: function (place in FUNCTIONS), column compared or, for a breadth,
# the rule's slot (-1: no such rule), group, column of the result.
A_FUNCTION, A_SOURCE, A_GROUP, A_TO, ACROSS_WORDS = range(5)
FUNCTIONS = ("rank", "pctile", "zscore", "breadth")
RANK, PCTILE, ZSCORE, BREADTH = range(4)
GROUPS = ("all", "sector", "industry", "exchange")  # then the lists of the program

TILE_WORDS = 8
TILE = 64 * TILE_WORDS
